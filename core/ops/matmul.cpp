// MatMul and Gemm.
#include <memory>

#include "core/kernels/gemm_f32/gemm_f32.h"
#include "core/ops/broadcast.h"
#include "core/ops/dispatch.h"
#include "core/ops/families.h"
#include "core/ops/matmul_shapes.h"
#include "core/ops/matrix.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

void infer_matmul(InferContext& c) { c.set_output(0, c.dtype(0), infer_matmul_shape(c, 0, 1)); }

// A constant matrix on the right, packed for the kernel once; null where it is none of floats.
using Packed = std::shared_ptr<const kernels::PackedBF32>;

Packed packed_weights(const Node& node, bool transposed) {
  const Value* value = node.input(1);
  const Tensor* b = value == nullptr ? nullptr : value->constant();
  if (b == nullptr || b->dtype() != DType::kFloat || b->rank() != 2 || b->size() == 0) return {};
  const int64_t rows = b->shape()[0], columns = b->shape()[1];
  if (transposed) {
    return std::make_shared<kernels::PackedBF32>(b->data<float>(), columns, rows, 1, columns);
  }
  return std::make_shared<kernels::PackedBF32>(b->data<float>(), rows, columns, columns, 1);
}

void multiply_packed(const float* a, int64_t a_row_stride, int64_t a_k_stride,
                     const kernels::PackedBF32& b, float* out, int64_t m) {
  kernels::GemmF32 gemm;
  gemm.m = m;
  gemm.n = b.n();
  gemm.k = b.k();
  gemm.a = a;
  gemm.a_row_stride = a_row_stride;
  gemm.a_k_stride = a_k_stride;
  gemm.packed_b = &b;
  gemm.c = out;
  gemm.ldc = gemm.n;
  kernels::gemm_f32(gemm);
}

template <typename T>
void run_matmul(KernelContext& c, const MatMulShapes& s) {
  const T* a = c.input(0).data<T>();
  const T* b = c.input(1).data<T>();
  T* out = c.output(0, c.input(0).dtype(), s.out).template mutable_data<T>();
  // Small products are shared out, one a thread; large ones take all threads in turn.
  const int64_t work = s.m * s.n * std::max<int64_t>(s.k, 1);
  const int64_t grain = std::max<int64_t>(1, kElementGrain * 8 / std::max<int64_t>(work, 1));
  parallel_for(s.batches, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      multiply(MatrixProduct<T>{a + s.a_batch(i) * s.m * s.k, b + s.b_batch(i) * s.k * s.n,
                                out + i * s.m * s.n, s.m, s.n, s.k});
    }
  });
}

Kernel matmul_kernel(const Node& node, int) {
  return [packed = packed_weights(node, false)](KernelContext& c) {
    const MatMulShapes shapes(c, c.input(0).shape(), c.input(1).shape());
    if (c.input(0).dtype() != c.input(1).dtype()) c.fail("its inputs differ in dtype");
    if (packed != nullptr) {
      float* out = c.output(0, DType::kFloat, shapes.out).mutable_data<float>();
      return multiply_packed(c.input(0).data<float>(), shapes.k, 1, *packed, out, shapes.m);
    }
    dispatch(c, WideTypes{}, c.input(0).dtype(),
             [&]<typename T>(TypeTag<T>) { run_matmul<T>(c, shapes); });
  };
}

struct GemmAttributes {
  explicit GemmAttributes(const Node& node)
      : alpha(node.float_attribute("alpha", 1)),
        beta(node.float_attribute("beta", 1)),
        transpose_a(node.int_attribute("transA", 0) != 0),
        transpose_b(node.int_attribute("transB", 0) != 0) {}
  float alpha, beta;
  bool transpose_a, transpose_b;
};

void infer_gemm(InferContext& c) {
  const auto &a = c.shape(0), &b = c.shape(1);
  if (!a || !b) return c.set_output(0, c.dtype(0), Shape(2));
  if (a->size() != 2 || b->size() != 2) c.fail("its inputs must be matrices");
  const GemmAttributes gemm(c.node());
  c.set_output(0, c.dtype(0),
               Shape{(*a)[gemm.transpose_a ? 1 : 0], (*b)[gemm.transpose_b ? 0 : 1]});
}

// out = alpha · out + beta · addend, which broadcasts to it.
template <typename T>
void scale_and_add(KernelContext& c, const GemmAttributes& gemm, Tensor& out) {
  T* values = out.mutable_data<T>();
  const T alpha = static_cast<T>(gemm.alpha), beta = static_cast<T>(gemm.beta);
  if (static_cast<float>(alpha) != gemm.alpha || static_cast<float>(beta) != gemm.beta) {
    c.unsupported("a fractional alpha or beta for integers");
  }
  if (gemm.alpha != 1) {
    for (int64_t i = 0; i < out.size(); ++i) values[i] = wrapping_mul(alpha, values[i]);
  }
  if (!c.has_input(2) || gemm.beta == 0) return;
  const Tensor& addend = c.input(2);
  if (addend.dtype() != out.dtype()) c.fail("its inputs differ in dtype");
  const Broadcast<2> loop(c, {&out.shape(), &addend.shape()});
  if (loop.shape() != out.shape()) {
    c.fail("C " + to_string(addend.shape()) + " does not broadcast to " + to_string(out.shape()));
  }
  const T* from = addend.data<T>();
  loop.for_each_run(kElementGrain, [&](int64_t at, const auto& offsets, int64_t count) {
    const T* add = from + offsets[1];
    T* to = values + at;
    if (loop.steps(1)) {
      for (int64_t i = 0; i < count; ++i) to[i] = wrapping_add(to[i], wrapping_mul(beta, add[i]));
    } else {
      const T same = wrapping_mul(beta, *add);
      for (int64_t i = 0; i < count; ++i) to[i] = wrapping_add(to[i], same);
    }
  });
}

void run_gemm(KernelContext& c, const GemmAttributes& gemm, const Packed& packed) {
  const Dims &a = c.input(0).shape(), &b = c.input(1).shape();
  if (a.size() != 2 || b.size() != 2) c.fail("its inputs must be matrices");
  const int64_t m = a[gemm.transpose_a ? 1 : 0], k = a[gemm.transpose_a ? 0 : 1];
  const int64_t n = b[gemm.transpose_b ? 0 : 1];
  if (b[gemm.transpose_b ? 1 : 0] != k) {
    c.fail("shapes " + to_string(a) + " and " + to_string(b) + " do not multiply");
  }
  if (c.input(0).dtype() != c.input(1).dtype()) c.fail("its inputs differ in dtype");
  dispatch(c, WideTypes{}, c.input(0).dtype(), [&]<typename T>(TypeTag<T>) {
    Tensor& out = c.output(0, c.input(0).dtype(), {m, n});
    if constexpr (std::is_same_v<T, float>) {
      if (packed != nullptr) {
        multiply_packed(c.input(0).data<float>(), gemm.transpose_a ? 1 : k,
                        gemm.transpose_a ? m : 1, *packed, out.mutable_data<float>(), m);
        return scale_and_add<T>(c, gemm, out);
      }
    }
    multiply(MatrixProduct<T>{c.input(0).data<T>(), c.input(1).data<T>(), out.mutable_data<T>(), m,
                              n, k, gemm.transpose_a, gemm.transpose_b});
    scale_and_add<T>(c, gemm, out);
  });
}

Kernel gemm_kernel(const Node& node, int) {
  const GemmAttributes gemm(node);
  return [gemm, packed = packed_weights(node, gemm.transpose_b)](KernelContext& c) {
    run_gemm(c, gemm, packed);
  };
}

constexpr uint32_t kSecondHoldsWeights = 1u << 1;

}  // namespace

std::span<const OpRow> matmul_ops() {
  static constexpr OpRow kRows[] = {
      {"", "MatMul", 1, infer_matmul, matmul_kernel, kSecondHoldsWeights},
      {"", "Gemm", 7, infer_gemm, gemm_kernel, kSecondHoldsWeights | 1u << 2},
  };
  return kRows;
}

}  // namespace dwindle
