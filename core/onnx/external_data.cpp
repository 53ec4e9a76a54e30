#include "core/onnx/external_data.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <system_error>

#include "core/ir/buffer_pool.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

namespace fs = std::filesystem;

struct Place {
  std::string location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
};

uint64_t parse_number(const std::string& key, const std::string& text) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (text.empty() || error != std::errc() || stop != end) {
    throw BadModel("external data: " + key + " '" + text + "' is not a size in bytes");
  }
  return number;
}

Place parse_place(const proto::TensorProto& tensor) {
  Place place;
  for (const proto::StringStringEntryProto& entry : tensor.external_data()) {
    if (entry.key() == "location") place.location = entry.value();
    if (entry.key() == "offset") place.offset = parse_number("offset", entry.value());
    if (entry.key() == "length") place.length = parse_number("length", entry.value());
  }
  if (place.location.empty()) throw BadModel("external data without a location");
  return place;
}

// Bytes that the dtype's C++ type must be aligned to; the parts of complex numbers are floats.
size_t alignment_of(DType dtype) {
  return std::clamp<size_t>(static_cast<size_t>(dtype_bits(dtype)) / 8, 1, 8);
}

}  // namespace

fs::path path_inside(const fs::path& folder, const std::string& location) {
  const fs::path relative(location);
  const bool climbs = std::find(relative.begin(), relative.end(), "..") != relative.end();
  if (location.find('\0') != std::string::npos || relative.is_absolute() || climbs) {
    throw BadModel("external data at '" + location +
                   "' is outside the model's folder: only paths below it are allowed");
  }
  const fs::path path = folder / relative;
  std::error_code error;
  const fs::path home = fs::canonical(folder, error);
  if (error) throw BadModel("no folder '" + folder.string() + "' to look for external data in");
  const fs::path real = fs::weakly_canonical(path, error);
  if (error) throw BadModel("external data at '" + location + "': " + error.message());
  if (std::mismatch(home.begin(), home.end(), real.begin(), real.end()).first != home.end()) {
    throw BadModel("external data at '" + location + "' is a link out of the model's folder");
  }
  return path;
}

const std::shared_ptr<const MappedFile>& ExternalFiles::file(const std::string& location) {
  auto it = files_.find(location);
  if (it != files_.end()) return it->second;
  if (folder_.empty()) {
    throw BadModel("external data at '" + location +
                   "', but the model was given without a folder to look in");
  }
  const fs::path path = path_inside(folder_, location);
  try {
    return files_.emplace(location, MappedFile::open(path)).first->second;
  } catch (const IoError& error) {
    throw BadModel(std::string("external data: ") + error.what());
  }
}

std::vector<std::string> ExternalFiles::paths() const {
  std::vector<std::string> paths;
  for (const auto& [location, file] : files_) {
    paths.push_back(path_inside(folder_, location).string());
  }
  return paths;
}

Tensor ExternalFiles::read(const proto::TensorProto& tensor, DType dtype, Dims dims) {
  const size_t size = packed_bytes(dtype, element_count(dims));
  const Place place = parse_place(tensor);
  if (dtype == DType::kString) throw BadModel("strings cannot be external data");
  if (place.length && *place.length != size) {
    throw BadModel("external data of " + std::to_string(*place.length) + " bytes where " +
                   std::string(dtype_name(dtype)) + to_string(dims) + " takes " +
                   std::to_string(size));
  }
  const std::shared_ptr<const MappedFile>& mapped = file(place.location);
  const size_t available = mapped->bytes().size();
  if (place.offset > available || size > available - place.offset) {
    throw BadModel("external data at offset " + std::to_string(place.offset) + ", " +
                   std::to_string(size) + " bytes, is past the end of '" + place.location +
                   "', which has " + std::to_string(available));
  }
  const std::byte* bytes = mapped->bytes().data() + place.offset;
  if (place.offset % alignment_of(dtype) == 0) {
    return Tensor::borrow(dtype, std::move(dims), bytes, mapped, /*mapped=*/true);
  }
  const std::shared_ptr<std::byte> aligned = take_buffer(size);
  if (size > 0) std::memcpy(aligned.get(), bytes, size);
  return Tensor::borrow(dtype, std::move(dims), aligned.get(), aligned, /*mapped=*/true);
}

}  // namespace dwindle
