// The shapes of a stack of matrix products, as numpy.matmul defines it: for MatMul, MatMulInteger
// and QLinearMatMul.
#pragma once

#include <optional>
#include <vector>

#include "core/ops/op.h"

namespace dwindle {

// [..., m, k] · [..., k, n]: the leading axes broadcast. A vector on the left counts as one row, on
// the right as one column, and its axis is missing in the output.
struct MatMulShapes {
  // Raises BadModel where the shapes do not fit.
  MatMulShapes(const KernelContext& c, const Dims& a, const Dims& b);

  int64_t m, n, k;
  int64_t batches;
  Dims out;

  // Which matrix of a and of b product i takes.
  int64_t a_batch(int64_t i) const { return a_index.empty() ? (folded ? 0 : i) : a_index[i]; }
  int64_t b_batch(int64_t i) const { return b_index.empty() ? (folded ? 0 : i) : b_index[i]; }

  // One matrix on the right for all on the left: then the left is one tall matrix (batches is 1).
  bool folded = false;
  std::vector<int64_t> a_index, b_index;  // empty: product i takes matrix i
};

// The shape of the product of inputs a and b; none where a rank is unknown.
std::optional<Shape> infer_matmul_shape(const InferContext& c, size_t a, size_t b);

}  // namespace dwindle
