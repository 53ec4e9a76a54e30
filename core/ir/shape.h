// Shapes: of tensors that exist (Dims) and of values as a graph declares them (Shape).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/ir/dtype.h"

namespace dwindle {

// The shape of a tensor in memory, outermost axis first. Empty: a scalar.
using Dims = std::vector<int64_t>;

// Number of elements of `dims`. Raises BadModel where an extent is negative or the product
// overflows.
int64_t element_count(const Dims& dims);

// One axis of a declared shape: a known extent, a named unknown ("batch"), or an unknown.
struct Dim {
  static constexpr int64_t kUnknown = -1;
  int64_t extent = kUnknown;
  std::string symbol;  // only where extent is unknown

  Dim() = default;
  Dim(int64_t known) : extent(known) {}  // NOLINT: a literal reads best as a dimension
  static Dim named(std::string symbol) {
    Dim dim;
    dim.symbol = std::move(symbol);
    return dim;
  }

  bool known() const { return extent >= 0; }
  // Whether both are certainly the same extent.
  bool same(const Dim& other) const {
    return known() ? extent == other.extent : !symbol.empty() && symbol == other.symbol;
  }
  bool operator==(const Dim&) const = default;
};

using Shape = std::vector<Dim>;

bool all_known(const Shape& shape);
Dims to_dims(const Shape& shape);  // requires all_known
Shape to_shape(const Dims& dims);
std::string to_string(const Shape& shape);  // [N,3,224,?]
std::string to_string(const Dims& dims);

// The type of a value: a tensor of some dtype and perhaps known shape, or something else (a
// sequence, a map, an optional, a sparse tensor), which is carried as ONNX encodes it.
struct ValueType {
  DType dtype = DType::kUndefined;  // kUndefined: not known, or no tensor
  std::optional<Shape> shape;       // none: not even the rank is known
  std::string opaque;               // a type other than a tensor, encoded

  bool is_tensor() const { return opaque.empty(); }
  bool operator==(const ValueType&) const = default;
};

std::string to_string(const ValueType& type);  // float32[N,3]

}  // namespace dwindle
