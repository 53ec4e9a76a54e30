// The Python class Model: an immutable dwindle::Model with an executor that is made on first use.
#pragma once

#include <pybind11/pybind11.h>

#include <filesystem>
#include <memory>
#include <mutex>

#include "core/ir/model.h"
#include "core/runtime/float_executor.h"

namespace dwindle {

class PyModel {
 public:
  explicit PyModel(Model model) : model_(std::move(model)) {}

  const Model& model() const { return model_; }
  // Safe from several threads; runs one after the other.
  TensorMap run(const TensorMap& feeds);

 private:
  Model model_;
  std::mutex mutex_;
  std::unique_ptr<FloatExecutor> executor_;
};

// A Model as it is, a path (str or os.PathLike) loaded, or an onnx.ModelProto or its bytes parsed.
// Raises TypeError for anything else.
std::shared_ptr<PyModel> to_model(pybind11::handle object);

void bind_model(pybind11::module_& module);

}  // namespace dwindle
