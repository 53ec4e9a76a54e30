// What is wrong with the constants of a model.
#include "core/ir/tensor_faults.h"

#include <algorithm>

#include "core/support/error.h"

namespace dwindle {

bool fits(const ValueType& type, DType dtype, const Dims& dims) {
  if (!type.is_tensor()) return false;
  if (type.dtype != DType::kUndefined && type.dtype != dtype) return false;
  if (!type.shape) return true;
  return std::equal(
      type.shape->begin(), type.shape->end(), dims.begin(), dims.end(),
      [](const Dim& declared, int64_t extent) { return !declared.known() || declared == extent; });
}

std::string fault_of(const Tensor& tensor) {
  if (!is_known_dtype(static_cast<int32_t>(tensor.dtype()))) return "has no data type";
  try {
    const int64_t count = element_count(tensor.shape());
    const size_t bytes = packed_bytes(tensor.dtype(), count);
    if (count != tensor.size() || bytes != tensor.nbytes()) {
      return "has " + std::to_string(tensor.nbytes()) + " bytes where " +
             std::string(dtype_name(tensor.dtype())) + to_string(tensor.shape()) + " takes " +
             std::to_string(bytes);
    }
    if (bytes > 0 && tensor.bytes() == nullptr) return "has no data";
  } catch (const BadModel& error) {
    return error.what();
  }
  return "";
}

std::string fault_of(const SparseTensor& sparse) {
  for (const Tensor* part : {&sparse.values, &sparse.indices}) {
    if (std::string fault = fault_of(*part); !fault.empty()) return fault;
  }
  const bool linear = sparse.indices.rank() == 1;
  const int64_t columns = linear ? 1 : static_cast<int64_t>(sparse.shape.size());
  const int64_t count = sparse.values.size();
  if (sparse.values.rank() != 1 || sparse.indices.dtype() != DType::kInt64 ||
      sparse.indices.size() != count * columns) {
    return "has indices that do not fit its values";
  }
  int64_t previous = -1;
  try {
    const int64_t elements = element_count(sparse.shape);
    for (int64_t i = 0; i < count; ++i) {
      int64_t at = 0;
      for (int64_t k = 0; k < columns; ++k) {
        const int64_t index = sparse.indices.data<int64_t>()[i * columns + k];
        const int64_t extent = linear ? elements : sparse.shape[static_cast<size_t>(k)];
        if (index < 0 || index >= extent) return "has an index out of range";
        at = linear ? index : at * extent + index;
      }
      if (at <= previous) return "has indices that do not ascend";
      previous = at;
    }
  } catch (const BadModel& error) {
    return error.what();
  }
  return "";
}

}  // namespace dwindle
