#include "core/ops/matrix.h"

#include <Eigen/Core>
#include <algorithm>

#include "core/kernels/gemm_f32/gemm_f32.h"
#include "core/ops/dispatch.h"

namespace dwindle {
namespace {

template <typename T>
void multiply_floats(const MatrixProduct<T>& p) {
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Input = Eigen::Map<const Matrix>;
  if (p.m == 0 || p.n == 0) return;
  Eigen::Map<Matrix> c(p.c, p.m, p.n);
  if (p.k == 0) {
    c.setZero();
    return;
  }
  const Input a(p.a, p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k);
  const Input b(p.b, p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n);
  if (p.transpose_a && p.transpose_b) {
    c.noalias() = a.transpose() * b.transpose();
  } else if (p.transpose_a) {
    c.noalias() = a.transpose() * b;
  } else if (p.transpose_b) {
    c.noalias() = a * b.transpose();
  } else {
    c.noalias() = a * b;
  }
}

template <typename T>
void multiply_integers(const MatrixProduct<T>& p) {
  const int64_t a_row = p.transpose_a ? 1 : p.k, a_step = p.transpose_a ? p.m : 1;
  const int64_t b_row = p.transpose_b ? 1 : p.n, b_step = p.transpose_b ? p.k : 1;
  for (int64_t i = 0; i < p.m; ++i) {
    T* row = p.c + i * p.n;
    std::fill_n(row, p.n, T{0});
    for (int64_t l = 0; l < p.k; ++l) {
      const T x = p.a[i * a_row + l * a_step];
      const T* y = p.b + l * b_row;
      for (int64_t j = 0; j < p.n; ++j) {
        row[j] = wrapping_add(row[j], wrapping_mul(x, y[j * b_step]));
      }
    }
  }
}

}  // namespace

void multiply(const MatrixProduct<float>& p) {
  kernels::GemmF32 gemm;
  gemm.m = p.m;
  gemm.n = p.n;
  gemm.k = p.k;
  gemm.a = p.a;
  gemm.a_row_stride = p.transpose_a ? 1 : p.k;
  gemm.a_k_stride = p.transpose_a ? p.m : 1;
  gemm.b = p.b;
  gemm.b_k_stride = p.transpose_b ? 1 : p.n;
  gemm.b_n_stride = p.transpose_b ? p.k : 1;
  gemm.c = p.c;
  gemm.ldc = p.n;
  kernels::gemm_f32(gemm);
}
void multiply(const MatrixProduct<double>& p) { multiply_floats(p); }
void multiply(const MatrixProduct<int32_t>& p) { multiply_integers(p); }
void multiply(const MatrixProduct<uint32_t>& p) { multiply_integers(p); }
void multiply(const MatrixProduct<int64_t>& p) { multiply_integers(p); }
void multiply(const MatrixProduct<uint64_t>& p) { multiply_integers(p); }

}  // namespace dwindle
