// The Python class Model: an immutable dwindle::Model with an executor that is made on first use.
#pragma once

#include <pybind11/pybind11.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "core/ir/model.h"
#include "core/runtime/float_executor.h"
#include "core/runtime/same_outputs.h"
#include "passes/pipeline.h"
#include "passes/quantize/quality.h"

namespace dwindle {

class PyModel {
 public:
  // `reports`, `quality` and `proof` say how it came about.
  explicit PyModel(Model model, std::vector<passes::PassReport> reports = {},
                   std::optional<passes::Quality> quality = std::nullopt,
                   std::optional<SameOutputs> proof = std::nullopt)
      : model_(std::move(model)),
        reports_(std::move(reports)),
        quality_(std::move(quality)),
        proof_(std::move(proof)) {}

  const Model& model() const { return model_; }
  const std::vector<passes::PassReport>& reports() const { return reports_; }
  const std::optional<passes::Quality>& quality() const { return quality_; }
  const std::optional<SameOutputs>& proof() const { return proof_; }
  // Safe from several threads; runs one after the other.
  TensorMap run(const TensorMap& feeds);

 private:
  Model model_;
  std::vector<passes::PassReport> reports_;
  std::optional<passes::Quality> quality_;
  std::optional<SameOutputs> proof_;
  std::mutex mutex_;
  std::unique_ptr<FloatExecutor> executor_;
};

// A Model as it is, a path (str or os.PathLike) loaded, or an onnx.ModelProto or its bytes parsed.
// Raises TypeError for anything else.
std::shared_ptr<PyModel> to_model(pybind11::handle object);

void bind_model(pybind11::module_& module);

}  // namespace dwindle
