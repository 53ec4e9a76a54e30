// Tensors of float16 and bfloat16 to float and back.
#pragma once

#include "core/ir/tensor.h"

namespace dwindle {

inline bool is_half(DType dtype) { return dtype == DType::kFloat16 || dtype == DType::kBfloat16; }

Tensor half_to_float(const Tensor& tensor);              // requires is_half(tensor.dtype())
Tensor float_to_half(const Tensor& tensor, DType half);  // rounds to nearest even

}  // namespace dwindle
