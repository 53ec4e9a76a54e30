// The last columns of a product, where they would fill a small part of a vector (49 columns are
// three vectors and one column: the planes of 7 x 7 that most image models end with). Lanes are
// rows here: blocks of 16 x 16 of A are turned in registers, which takes a quarter of what
// multiplying them by vectors of mostly nothing does. Each sum has the terms of every other
// variant, in the same order.
#pragma once

#include <immintrin.h>

#include <algorithm>

#include "core/kernels/gemm_f32/gemm_f32.h"

namespace dwindle::kernels {
namespace {

constexpr int64_t kTurned = 16;  // rows, and steps along K, of a block
constexpr int64_t kMostFewColumns = 4;

// Whether few_columns() beats one more vector: it takes (4 + columns) instructions where that takes
// one for each row.
bool worth_turning(const GemmF32Params& p, int64_t columns) {
  const int64_t blocks = (p.m + kTurned - 1) / kTurned;
  return p.a_k_stride == 1 && columns <= kMostFewColumns && blocks * (4 + columns) * 5 < p.m * 4;
}

// Inlined: through memory the blocks would take as long again.
[[gnu::always_inline]] inline void turn(__m512 (&v)[kTurned]) {
  __m512 t[kTurned];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(v[i], v[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    const auto lo = [](__m512 a, __m512 b) {
      return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
    };
    const auto hi = [](__m512 a, __m512 b) {
      return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
    };
    v[i] = lo(t[i], t[i + 2]);
    v[i + 1] = hi(t[i], t[i + 2]);
    v[i + 2] = lo(t[i + 1], t[i + 3]);
    v[i + 3] = hi(t[i + 1], t[i + 3]);
  }
  // Lanes of 128 bits: now lane q of v[4 r + c] has column 4 q + c of rows 4 r to 4 r + 3.
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    t[c] = _mm512_shuffle_f32x4(v[c], v[c + 4], 0x88);
    t[c + 4] = _mm512_shuffle_f32x4(v[c], v[c + 4], 0xdd);
    t[c + 8] = _mm512_shuffle_f32x4(v[c + 8], v[c + 12], 0x88);
    t[c + 12] = _mm512_shuffle_f32x4(v[c + 8], v[c + 12], 0xdd);
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    v[c] = _mm512_shuffle_f32x4(t[c], t[c + 8], 0x88);
    v[c + 4] = _mm512_shuffle_f32x4(t[c + 4], t[c + 12], 0x88);
    v[c + 8] = _mm512_shuffle_f32x4(t[c], t[c + 8], 0xdd);
    v[c + 12] = _mm512_shuffle_f32x4(t[c + 4], t[c + 12], 0xdd);
  }
}

// Up to 16 rows by NC columns.
template <int NC, bool kScattered>
void few_columns_of(const GemmF32Params& p, int64_t row, int64_t rows, int64_t col) {
  const auto lanes = static_cast<__mmask16>((1u << rows) - 1);
  float* c = p.c + row * p.ldc + col;
  __m512 sum[NC];
  alignas(64) float kept[kTurned] = {};
#pragma GCC unroll 4
  for (int j = 0; j < NC; ++j) {
    for (int64_t i = 0; i < rows && p.load_c; ++i) kept[i] = c[i * p.ldc + j];
    sum[j] = _mm512_load_ps(kept);
    if (p.row_bias != nullptr) {
      sum[j] = _mm512_add_ps(sum[j], _mm512_maskz_loadu_ps(lanes, p.row_bias + row));
    }
    if (p.col_bias != nullptr) sum[j] = _mm512_add_ps(sum[j], _mm512_set1_ps(p.col_bias[col + j]));
  }

  const float* a = p.a + row * p.a_row_stride;
  for (int64_t l = 0; l < p.k; l += kTurned) {
    const int64_t steps = std::min(kTurned, p.k - l);
    const auto cut = static_cast<__mmask16>((1u << steps) - 1);
    __m512 block[kTurned];
#pragma GCC unroll 16
    for (int i = 0; i < kTurned; ++i) {
      // The last row again where there are fewer: what it makes is not stored.
      const int64_t at = std::min<int64_t>(i, rows - 1);
      block[i] = _mm512_maskz_loadu_ps(cut, a + at * p.a_row_stride + l);
    }
    turn(block);
#pragma GCC unroll 16
    for (int step = 0; step < kTurned; ++step) {
      if (step >= steps) break;
      const float* b = p.b + col + (kScattered ? p.b_rows[l + step] : (l + step) * p.ldb);
#pragma GCC unroll 4
      for (int j = 0; j < NC; ++j)
        sum[j] = _mm512_fmadd_ps(block[step], _mm512_set1_ps(b[j]), sum[j]);
    }
  }

#pragma GCC unroll 4
  for (int j = 0; j < NC; ++j) {
    if (p.row_scale != nullptr) {
      const __m512 scale = _mm512_maskz_loadu_ps(lanes, p.row_scale + row);
      const __m512 shift = _mm512_maskz_loadu_ps(lanes, p.row_shift + row);
      sum[j] = _mm512_add_ps(_mm512_mul_ps(sum[j], scale), shift);
    }
    // Both return their second operand where the first is not greater (less), also for NaN.
    sum[j] = _mm512_min_ps(_mm512_set1_ps(p.max), _mm512_max_ps(_mm512_set1_ps(p.min), sum[j]));
    _mm512_store_ps(kept, sum[j]);
    for (int64_t i = 0; i < rows; ++i) c[i * p.ldc + j] = kept[i];
  }
}

// Columns [col, col + count) of all rows; count is at most kMostFewColumns.
template <bool kScattered>
void few_columns(const GemmF32Params& p, int64_t col, int64_t count) {
  static_assert(kMostFewColumns == 4);
  for (int64_t row = 0; row < p.m; row += kTurned) {
    const int64_t rows = std::min(kTurned, p.m - row);
    switch (count) {
      case 1:
        few_columns_of<1, kScattered>(p, row, rows, col);
        break;
      case 2:
        few_columns_of<2, kScattered>(p, row, rows, col);
        break;
      case 3:
        few_columns_of<3, kScattered>(p, row, rows, col);
        break;
      default:
        few_columns_of<4, kScattered>(p, row, rows, col);
        break;
    }
  }
}

}  // namespace
}  // namespace dwindle::kernels
