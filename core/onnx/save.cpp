// Model to files.
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

Sink sink_to(AtomicFile& file) {
  return [&file](std::span<const std::byte> bytes) { file.write(bytes); };
}

}  // namespace

void save_model(const Model& model, const fs::path& path, ExternalData external) {
  if (path.filename().empty()) throw IoError("cannot write '" + path.string() + "': no file name");
  const std::string location = path.filename().string() + ".data";
  const EncodedModel encoded = encode(model, external, location);

  std::optional<AtomicFile> data;
  if (!encoded.external().empty()) {
    const fs::path folder = path.parent_path().empty() ? "." : path.parent_path();
    std::error_code missing;
    if (!fs::is_directory(folder, missing)) {
      throw IoError("cannot write '" + path.string() + "': there is no folder '" + folder.string() +
                    "'");
    }
    data.emplace(path_inside(folder, location));
    encoded.external().write(sink_to(*data));
    data->sync();
  }
  AtomicFile file(path);
  encoded.write(sink_to(file));
  file.sync();
  // Both are whole on disk now; what is left are two renames.
  if (data) data->commit();
  file.commit();
}

std::string serialize_model(const Model& model) {
  const EncodedModel encoded(model, {});
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
