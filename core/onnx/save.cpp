// Model to files.
#include <algorithm>
#include <filesystem>
#include <limits>
#include <optional>

#include "core/onnx/encode.h"
#include "core/onnx/external_data.h"
#include "core/onnx/onnx.h"
#include "core/support/error.h"
#include "core/support/file.h"

namespace dwindle {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPart = size_t{8} << 20;

EncodedModel encode(const Model& model, ExternalData external, const std::string& location) {
  switch (external) {
    case ExternalData::kNever:
      return EncodedModel(model, {});
    case ExternalData::kAlways:
      return EncodedModel(model, {.mapped = true, .large = true, .location = location});
    case ExternalData::kAuto:
      break;
  }
  EncodedModel encoded(model, {.mapped = true, .large = false, .location = location});
  if (encoded.size() <= static_cast<uint64_t>(std::numeric_limits<int32_t>::max())) return encoded;
  return EncodedModel(model, {.mapped = true, .large = true, .location = location});
}

// Writes in parts and gives each back: of weights that are mapped, memory holds a part at a time.
Sink sink_to(AtomicFile& file) {
  return [&file](std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const auto part = bytes.first(std::min(bytes.size(), kPart));
      file.write(part);
      give_back_pages(part);
      bytes = bytes.subspan(part.size());
    }
  };
}

fs::path data_path(const fs::path& model, const std::string& location) {
  try {
    const fs::path folder = model.parent_path();
    return path_inside(folder.empty() ? "." : folder, location);
  } catch (const BadModel& error) {
    throw IoError("cannot write '" + model.string() + "': " + error.what());
  }
}

bool same_file(const fs::path& a, const fs::path& b) {
  std::error_code error;
  return fs::equivalent(a, b, error) && !error;
}

// Weights that the file of the model points to are lost to it where something else takes their
// place; a model that is written over its own file takes them along.
void spare_external_files(const Model& model, const fs::path& path, const fs::path& target) {
  if (!model.file.empty() && same_file(path, model.file)) return;
  for (const std::string& external : model.external_files) {
    if (!same_file(target, external)) continue;
    throw IoError("cannot write '" + target.string() + "': it holds the weights of '" + model.file +
                  "'; choose another name");
  }
}

}  // namespace

void save_model(const Model& model, const fs::path& path, ExternalData external) {
  if (path.filename().empty()) throw IoError("cannot write '" + path.string() + "': no file name");
  const std::string location = path.filename().string() + ".data";
  const EncodedModel encoded = encode(model, external, location);
  encoded.check_size();
  spare_external_files(model, path, path);
  if (!encoded.external().empty()) spare_external_files(model, path, data_path(path, location));

  AtomicFile file(path);  // first: what cannot be written should fail before gigabytes are
  std::optional<AtomicFile> data;
  if (!encoded.external().empty()) {
    data.emplace(data_path(path, location));
    encoded.external().write(sink_to(*data));
    data->sync();
  }
  encoded.write(sink_to(file));
  file.sync();
  // Both are whole on disk now; what is left are two renames.
  if (data) data->commit();
  file.commit();
}

std::string serialize_model(const Model& model) {
  const EncodedModel encoded(model, {});
  encoded.check_size();
  std::string bytes;
  bytes.reserve(encoded.size());
  encoded.write([&](std::span<const std::byte> piece) {
    bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  });
  return bytes;
}

uint64_t serialized_size(const Model& model) {
  const EncodedModel encoded = encode(model, ExternalData::kAuto, "model.onnx.data");
  return encoded.size() + encoded.external().size();
}

}  // namespace dwindle
