#include "core/runtime/half_bridge.h"

#include "core/ops/half.h"

namespace dwindle {

void HalfBridge::widen_halves() {
  for (const Tensor*& input : inputs_) {
    if (!is_half(input->dtype())) continue;
    half_ = input->dtype();
    widened_.push_back(std::make_unique<Tensor>(half_to_float(*input)));
    input = widened_.back().get();
  }
}

void HalfBridge::narrow_outputs() {
  if (half_ == DType::kUndefined) return;
  for (size_t i = 0; i < outputs_.size(); ++i) {
    const Value* value = node_->output(i);
    if (outputs_[i].dtype() != DType::kFloat) continue;
    if (value != nullptr && value->type.dtype == DType::kFloat) continue;
    outputs_[i] = float_to_half(outputs_[i], half_);
  }
}

}  // namespace dwindle
