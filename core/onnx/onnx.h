// Loading and saving ONNX files: the only door between protobuf and Model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "core/ir/model.h"

namespace dwindle {

// Reads a model. Everything that the IR does not name is kept, encoded, and written back by save.
// External data is memory-mapped, not read. Raises IoError where a file cannot be opened, BadModel
// where it is no valid model or external data is missing, out of range or outside the model's
// folder. A graph whose nodes are not in order is sorted.
Model load_model(const std::filesystem::path& path);

// The same from bytes in memory; external data is looked for in `folder` (empty: an error).
// Tensors borrow nothing from `bytes`.
Model parse_model(std::span<const std::byte> bytes, const std::filesystem::path& folder = {});

// Where tensors go when a model is saved.
enum class ExternalData {
  kAuto,    // mapped tensors stay external; all large ones do where one file would pass 2 GB
  kNever,   // all in the file; raises Error where that would pass 2 GB
  kAlways,  // every tensor of 1 KB or more goes to `<file>.data`
};

// Writes atomically: temporary files, fsync, rename. External data goes to `<file name>.data`
// beside the model, streamed. Raises IoError.
void save_model(const Model& model, const std::filesystem::path& path,
                ExternalData external = ExternalData::kAuto);

// The bytes of the model as ONNX, all tensors inside. Raises Error past 2 GB.
std::string serialize_model(const Model& model);

// Size in bytes that save_model writes, external data included.
uint64_t serialized_size(const Model& model);

}  // namespace dwindle
