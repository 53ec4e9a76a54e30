// How float16 and bfloat16 tensors pass through kernels that compute in float.
#pragma once

#include <memory>
#include <vector>

#include "core/ops/op.h"

namespace dwindle {

// A context that can stand between half tensors and a kernel of kViaFloat.
class HalfBridge : public KernelContext {
 public:
  // float16 and bfloat16 inputs become float for the kernel.
  void widen_halves();
  // Float outputs go back, except those that the graph declares as float.
  void narrow_outputs();

  // Undefined where the kernel did not make output i.
  Held take_output(size_t i) { return i < outputs_.size() ? std::move(outputs_[i]) : Held(); }

 private:
  DType half_ = DType::kUndefined;
  std::vector<std::unique_ptr<Held>> widened_;
};

}  // namespace dwindle
