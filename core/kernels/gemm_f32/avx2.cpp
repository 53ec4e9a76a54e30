// Register tiles of up to 6 rows by 2 vectors of 8 columns: 12 accumulators, 2 vectors of B and one
// broadcast of A in 16 registers. Columns that do not fill a vector are loaded and stored by mask.
#include "core/kernels/gemm_f32/gemm_f32.h"

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

namespace dwindle::kernels {
namespace {

constexpr int64_t kLanes = 8;
constexpr int kMaxRows[2] = {12, 6};  // index W - 1

__m256i lanes_below(int64_t count) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), lane);
}

template <bool kMasked>
__m256 load(const float* from, __m256i mask) {
  if constexpr (kMasked) return _mm256_maskload_ps(from, mask);
  return _mm256_loadu_ps(from);
}

// A tile of MR rows by W vectors; kMasked where the last vector is cut by `last`, kScattered where
// b_rows says where the rows of B lie.
template <int MR, int W, bool kMasked, bool kScattered>
void tile(const GemmF32Params& p, int64_t row, int64_t col, __m256i last) {
  __m256 sum[MR][W];
  float* c = p.c + row * p.ldc + col;
#pragma GCC unroll 12
  for (int i = 0; i < MR; ++i) {
    const __m256 bias = _mm256_set1_ps(p.row_bias != nullptr ? p.row_bias[row + i] : 0.0f);
#pragma GCC unroll 2
    for (int j = 0; j < W; ++j) {
      const int64_t at = i * p.ldc + j * kLanes;
      sum[i][j] = bias;
      if (p.load_c) {
        sum[i][j] = j == W - 1 ? load<kMasked>(c + at, last) : _mm256_loadu_ps(c + at);
        if (p.row_bias != nullptr) sum[i][j] = _mm256_add_ps(sum[i][j], bias);
      }
      if (p.col_bias != nullptr) {
        const float* col_bias = p.col_bias + col + j * kLanes;
        sum[i][j] = _mm256_add_ps(
            sum[i][j], j == W - 1 ? load<kMasked>(col_bias, last) : _mm256_loadu_ps(col_bias));
      }
    }
  }

  const float* a = p.a + row * p.a_row_stride;
  const float* b = p.b + col;
  for (int64_t l = 0; l < p.k; ++l) {
    if constexpr (kScattered) b = p.b + col + p.b_rows[l];
    __m256 bv[W];
#pragma GCC unroll 2
    for (int j = 0; j < W; ++j) {
      bv[j] = j == W - 1 ? load<kMasked>(b + j * kLanes, last) : _mm256_loadu_ps(b + j * kLanes);
    }
#pragma GCC unroll 12
    for (int i = 0; i < MR; ++i) {
      const __m256 av = _mm256_broadcast_ss(a + i * p.a_row_stride);
#pragma GCC unroll 2
      for (int j = 0; j < W; ++j) sum[i][j] = _mm256_fmadd_ps(av, bv[j], sum[i][j]);
    }
    a += p.a_k_stride;
    if constexpr (!kScattered) b += p.ldb;
  }

  if (p.row_scale != nullptr) {
#pragma GCC unroll 12
    for (int i = 0; i < MR; ++i) {
      const __m256 scale = _mm256_set1_ps(p.row_scale[row + i]);
      const __m256 shift = _mm256_set1_ps(p.row_shift[row + i]);
#pragma GCC unroll 2
      for (int j = 0; j < W; ++j) sum[i][j] = _mm256_add_ps(_mm256_mul_ps(sum[i][j], scale), shift);
    }
  }

  const __m256 lo = _mm256_set1_ps(p.min);
  const __m256 hi = _mm256_set1_ps(p.max);
#pragma GCC unroll 12
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < W; ++j) {
      // Both return their second operand where the first is not greater (less), also for NaN.
      const __m256 value = _mm256_min_ps(hi, _mm256_max_ps(lo, sum[i][j]));
      float* to = c + i * p.ldc + j * kLanes;
      if (kMasked && j == W - 1) {
        _mm256_maskstore_ps(to, last, value);
      } else {
        _mm256_storeu_ps(to, value);
      }
    }
  }
}

template <int W, bool kMasked, bool kScattered>
void tile_of_rows(int rows, const GemmF32Params& p, int64_t row, int64_t col, __m256i last) {
  switch (rows) {
#define DWINDLE_ROWS(MR)                                                                      \
  case MR:                                                                                    \
    if constexpr (MR <= kMaxRows[W - 1]) tile<MR, W, kMasked, kScattered>(p, row, col, last); \
    break;
    DWINDLE_ROWS(1)
    DWINDLE_ROWS(2)
    DWINDLE_ROWS(3)
    DWINDLE_ROWS(4)
    DWINDLE_ROWS(5)
    DWINDLE_ROWS(6)
    DWINDLE_ROWS(7)
    DWINDLE_ROWS(8)
    DWINDLE_ROWS(9)
    DWINDLE_ROWS(10)
    DWINDLE_ROWS(11)
    DWINDLE_ROWS(12)
#undef DWINDLE_ROWS
    default:
      break;
  }
}

template <int W, bool kMasked, bool kScattered>
void columns(const GemmF32Params& p, int64_t col, __m256i last) {
  const int64_t tiles = (p.m + kMaxRows[W - 1] - 1) / kMaxRows[W - 1];
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t row = p.m * t / tiles;
    const int64_t end = p.m * (t + 1) / tiles;
    tile_of_rows<W, kMasked, kScattered>(static_cast<int>(end - row), p, row, col, last);
  }
}

template <bool kScattered>
void product(const GemmF32Params& p) {
  for (int64_t col = 0; col < p.n; col += 2 * kLanes) {
    const int64_t left = p.n - col;
    const __m256i last = lanes_below(left > kLanes ? left - kLanes : left);
    if (left >= 2 * kLanes) {
      columns<2, false, kScattered>(p, col, last);
    } else if (left > kLanes) {
      columns<2, true, kScattered>(p, col, last);
    } else if (left == kLanes) {
      columns<1, false, kScattered>(p, col, last);
    } else {
      columns<1, true, kScattered>(p, col, last);
    }
  }
}

}  // namespace

void gemm_f32_avx2(const GemmF32Params& p) noexcept {
  p.b_rows != nullptr ? product<true>(p) : product<false>(p);
}

}  // namespace dwindle::kernels
#endif
