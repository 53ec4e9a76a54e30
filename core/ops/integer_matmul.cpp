// MatMulInteger and QLinearMatMul.
#include "core/ops/broadcast.h"
#include "core/ops/families.h"
#include "core/ops/integer_dot.h"
#include "core/ops/matmul_shapes.h"

namespace dwindle {
namespace {

// A vector of zero points or scales goes with the rows of `a`, or with the columns of `b`, which it
// does by broadcasting.
Dims row_shape(const Dims& given, const Dims& a) {
  const bool rows = given.size() == 1 && given[0] != 1 && a.size() >= 2;
  return rows ? Dims{given[0], 1} : given;
}

// The sums of all products, [batch, m, n].
std::vector<int32_t> integer_products(const MatMulShapes& s, const std::vector<int16_t>& a,
                                      const std::vector<int16_t>& b) {
  std::vector<int32_t> sums(static_cast<size_t>(s.batches * s.m * s.n));
  std::vector<int16_t> columns(static_cast<size_t>(s.n * s.k));
  for (int64_t i = 0; i < s.batches; ++i) {
    const int16_t* matrix = b.data() + s.b_batch(i) * s.k * s.n;
    for (int64_t l = 0; l < s.k; ++l) {
      for (int64_t j = 0; j < s.n; ++j)
        columns[static_cast<size_t>(j * s.k + l)] = matrix[l * s.n + j];
    }
    const int16_t* rows = a.data() + s.a_batch(i) * s.m * s.k;
    int32_t* out = sums.data() + i * s.m * s.n;
    const int64_t grain = std::max<int64_t>(1, kElementGrain * 8 / std::max<int64_t>(s.n * s.k, 1));
    parallel_for(s.m, grain, [&](int64_t begin, int64_t end) {
      dot_rows(rows + begin * s.k, columns.data(), end - begin, s.n, s.k, out + begin * s.n, s.n);
    });
  }
  return sums;
}

void matmul_integer(KernelContext& c) {
  const Dims &a = c.input(0).shape(), &b = c.input(1).shape();
  const MatMulShapes shapes(c, a, b);
  const Dims a_zero = c.has_input(2) ? row_shape(c.input(2).shape(), a) : Dims{};
  const Dims b_zero = c.has_input(3) ? c.input(3).shape() : Dims{};
  const auto sums = integer_products(shapes, centred(c, 0, 2, a_zero), centred(c, 1, 3, b_zero));
  c.set_output(0, Tensor::of<int32_t>(shapes.out, sums));
}

Kernel matmul_integer_kernel(const Node&, int) { return matmul_integer; }

void infer_matmul_integer(InferContext& c) {
  c.set_output(0, DType::kInt32, infer_matmul_shape(c, 0, 1));
}

// Inputs: a, its scale and zero point; b, its scale and zero point; scale and zero point of y.
void qlinear_matmul(KernelContext& c) {
  const Dims &a = c.input(0).shape(), &b = c.input(3).shape();
  const MatMulShapes shapes(c, a, b);
  const Requantize requantize(c, 6, 7);
  const auto sums = integer_products(shapes, centred(c, 0, 2, row_shape(c.input(2).shape(), a)),
                                     centred(c, 3, 5, c.input(5).shape()));
  // One multiplier in all, or one a column.
  const float a_scale = single_scale(c, 1);
  std::vector<float> multipliers = to_floats(c.input(4));
  const auto count = static_cast<int64_t>(multipliers.size());
  if (count != 1 && (count != shapes.n || c.input(4).shape().back() != shapes.n)) {
    c.unsupported("a scale of shape " + to_string(c.input(4).shape()) + " for input b");
  }
  for (float& multiplier : multipliers) multiplier = a_scale * multiplier / requantize.scale();
  Tensor& out = c.output(0, requantize.dtype(), shapes.out);
  std::byte* to = out.mutable_bytes();
  for (int64_t i = 0; i < out.size(); ++i) {
    const size_t column = count == 1 ? 0 : static_cast<size_t>(i % shapes.n);
    requantize.store(to, i, sums[static_cast<size_t>(i)], multipliers[column]);
  }
}

Kernel qlinear_matmul_kernel(const Node&, int) { return qlinear_matmul; }

void infer_qlinear_matmul(InferContext& c) {
  c.set_output(0, c.dtype(7), infer_matmul_shape(c, 0, 3));
}

}  // namespace

std::span<const OpRow> integer_matmul_ops() {
  static constexpr OpRow kRows[] = {
      {"", "MatMulInteger", 10, infer_matmul_integer, matmul_integer_kernel, 1u << 1},
      {"", "QLinearMatMul", 10, infer_qlinear_matmul, qlinear_matmul_kernel, 1u << 3},
  };
  return kRows;
}

}  // namespace dwindle
