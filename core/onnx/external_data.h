// Tensors whose bytes are in files beside the model.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/ir/tensor.h"
#include "core/onnx/schema.h"
#include "core/support/file.h"

namespace dwindle {

// Raises BadModel unless `location` is a relative path that stays in `folder`, links followed.
// Returns the path of the file, which need not exist.
std::filesystem::path path_inside(const std::filesystem::path& folder, const std::string& location);

// The external files of one model, each mapped once.
class ExternalFiles {
 public:
  // `folder` is the model's; empty: there is none, and external data is an error.
  explicit ExternalFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // The tensor of `dtype` and `dims` that `tensor.external_data` points to. Raises BadModel where
  // the place is missing, malformed, out of the file's range or outside the folder.
  Tensor read(const proto::TensorProto& tensor, DType dtype, Dims dims);

  // Those that were read from.
  std::vector<std::string> paths() const;

 private:
  const std::shared_ptr<const MappedFile>& file(const std::string& location);

  std::filesystem::path folder_;
  std::unordered_map<std::string, std::shared_ptr<const MappedFile>> files_;
};

}  // namespace dwindle
