#include "core/runtime/half_bridge.h"

#include "core/ops/half.h"

namespace dwindle {

void HalfBridge::widen_halves() {
  for (const Held*& input : inputs_) {
    if (!is_half(input->tensor.dtype())) continue;
    half_ = input->tensor.dtype();
    widened_.push_back(std::make_unique<Held>(half_to_float(input->tensor)));
    input = widened_.back().get();
  }
}

void HalfBridge::narrow_outputs() {
  if (half_ == DType::kUndefined) return;
  for (size_t i = 0; i < outputs_.size(); ++i) {
    const Value* value = node_->output(i);
    Tensor& output = outputs_[i].tensor;
    if (output.dtype() != DType::kFloat) continue;
    if (value != nullptr && value->type.dtype == DType::kFloat) continue;
    output = float_to_half(output, half_);
  }
}

}  // namespace dwindle
