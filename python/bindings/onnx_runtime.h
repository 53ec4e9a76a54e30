// ONNX Runtime where Python has it: runs what the operator table does not cover.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/runtime/executor.h"
#include "passes/pipeline.h"

namespace dwindle {

// Makes executors that run in FloatExecutor as long as that can, then in ONNX Runtime, and
// remembers whether any had to. Without onnxruntime they raise Unsupported, which says that it
// would help; where ONNX Runtime refuses, too, Unsupported says what both have against it. One for
// each call from Python; to be used without the GIL.
class OnnxRuntimeFallback {
 public:
  MakeExecutor executors();

  // Where FloatExecutor cannot run `model`: asks ONNX Runtime for the types of values that
  // inference does not know, since only values of known types are quantized. Where ONNX Runtime
  // refuses the model, they stay unknown.
  void complete_types(Model& model);

  // Says what ONNX Runtime did, as a note in `reports` (of the pass that took data, or the last)
  // and as a Python warning. Does nothing where it did nothing. Needs the GIL.
  void tell(std::vector<passes::PassReport>& reports) const;
  void tell() const;  // the warning alone

 private:
  std::string note() const;

  // What FloatExecutor refused first; shared with executors, which may outlive this.
  std::shared_ptr<std::string> refused_ = std::make_shared<std::string>();
};

}  // namespace dwindle
