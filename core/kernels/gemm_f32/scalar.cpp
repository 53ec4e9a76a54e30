// The definition that every other variant repeats bit for bit.
#include <cmath>

#include "core/kernels/gemm_f32/gemm_f32.h"

namespace dwindle::kernels {

void gemm_f32_scalar(const GemmF32Params& p) noexcept {
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) {
      float* c = p.c + i * p.ldc + j;
      float sum = p.load_c ? *c : 0.0f;
      if (p.row_bias != nullptr) sum += p.row_bias[i];
      if (p.col_bias != nullptr) sum += p.col_bias[j];
      const float* a = p.a + i * p.a_row_stride;
      for (int64_t l = 0; l < p.k; ++l) {
        const int64_t b_row = p.b_rows != nullptr ? p.b_rows[l] : l * p.ldb;
        sum = std::fma(a[l * p.a_k_stride], p.b[b_row + j], sum);
      }
      if (p.row_scale != nullptr) sum = sum * p.row_scale[i] + p.row_shift[i];
      sum = p.min > sum ? p.min : sum;
      *c = p.max < sum ? p.max : sum;
    }
  }
}

}  // namespace dwindle::kernels
