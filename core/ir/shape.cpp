#include "core/ir/shape.h"

#include <algorithm>

#include "core/support/error.h"

namespace dwindle {

int64_t element_count(const Dims& dims) {
  int64_t count = 1;
  bool empty = false;
  for (int64_t extent : dims) {
    if (extent < 0) throw BadModel("shape " + to_string(dims) + " has a negative extent");
    if (extent == 0) {
      empty = true;
      continue;
    }
    if (__builtin_mul_overflow(count, extent, &count)) {
      throw BadModel("shape " + to_string(dims) + " has more elements than 64 bits can count");
    }
  }
  return empty ? 0 : count;
}

bool all_known(const Shape& shape) {
  return std::all_of(shape.begin(), shape.end(), [](const Dim& dim) { return dim.known(); });
}

Dims to_dims(const Shape& shape) {
  Dims dims;
  dims.reserve(shape.size());
  for (const Dim& dim : shape) dims.push_back(dim.extent);
  return dims;
}

Shape to_shape(const Dims& dims) { return Shape(dims.begin(), dims.end()); }

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (const Dim& dim : shape) {
    if (text.size() > 1) text += ",";
    text += dim.known() ? std::to_string(dim.extent) : dim.symbol.empty() ? "?" : dim.symbol;
  }
  return text + "]";
}

std::string to_string(const Dims& dims) {
  std::string text = "[";
  for (int64_t extent : dims) {
    if (text.size() > 1) text += ",";
    text += std::to_string(extent);
  }
  return text + "]";
}

std::string to_string(const ValueType& type) {
  if (!type.is_tensor()) return "opaque";
  const std::string dtype(type.dtype == DType::kUndefined ? "?" : dtype_name(type.dtype));
  return dtype + (type.shape ? to_string(*type.shape) : "[...]");
}

}  // namespace dwindle
