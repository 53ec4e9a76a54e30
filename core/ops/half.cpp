#include "core/ops/half.h"

namespace dwindle {

Tensor half_to_float(const Tensor& tensor) {
  Tensor out = Tensor::allocate(DType::kFloat, tensor.shape());
  float* to = out.mutable_data<float>();
  if (tensor.dtype() == DType::kFloat16) {
    for (Float16 value : tensor.values<Float16>()) *to++ = to_float(value);
  } else {
    for (Bfloat16 value : tensor.values<Bfloat16>()) *to++ = to_float(value);
  }
  return out;
}

Tensor float_to_half(const Tensor& tensor, DType half) {
  Tensor out = Tensor::allocate(half, tensor.shape());
  if (half == DType::kFloat16) {
    Float16* to = out.mutable_data<Float16>();
    for (float value : tensor.values<float>()) *to++ = to_float16(value);
  } else {
    Bfloat16* to = out.mutable_data<Bfloat16>();
    for (float value : tensor.values<float>()) *to++ = to_bfloat16(value);
  }
  return out;
}

}  // namespace dwindle
