// The part of verify that looks at tensors alone.
#pragma once

#include <string>

#include "core/ir/tensor.h"

namespace dwindle {

// What is wrong with the tensor itself ("has no data"); "" where nothing is.
std::string fault_of(const Tensor& tensor);

// The same; indices must be in range and ascend (ONNX, SparseTensorProto).
std::string fault_of(const SparseTensor& sparse);

// Whether the declared type leaves room for a tensor of this dtype and shape.
bool fits(const ValueType& type, DType dtype, const Dims& dims);

}  // namespace dwindle
