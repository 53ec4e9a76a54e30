// Register tiles of MR rows by W vectors of 16 columns. The accumulators take up to 28 of the 32
// registers, so that loads stay well below one per multiply-add and the two FMA ports are the
// limit. Masks cut the last vector of a row where more than a few columns are left for it; rows are
// shared out evenly, so that no tile is left with one.
#include "core/kernels/gemm_f32/gemm_f32.h"

#if defined(__AVX512F__)
#include <immintrin.h>

#include "core/kernels/gemm_f32/avx512_few_columns.h"

namespace dwindle::kernels {
namespace {

constexpr int64_t kLanes = 16;
constexpr int kMaxVectors = 4;
// Most rows of a tile that is W vectors wide; index W - 1.
constexpr int kMaxRows[kMaxVectors] = {14, 12, 9, 6};

// The lines of GemmF32Params::ahead that one tile asks for.
struct Ahead {
  const float* from;
  int64_t lines;
};

// kScattered where b_rows says where the rows of B lie.
template <int MR, int W, bool kScattered>
void tile(const GemmF32Params& p, int64_t row, int64_t col, __mmask16 last, Ahead ahead) {
  __m512 sum[MR][W];
  float* c = p.c + row * p.ldc + col;
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
    const __m512 bias = _mm512_set1_ps(p.row_bias != nullptr ? p.row_bias[row + i] : 0.0f);
#pragma GCC unroll 4
    for (int j = 0; j < W; ++j) {
      const __mmask16 mask = j == W - 1 ? last : static_cast<__mmask16>(0xffff);
      sum[i][j] = bias;
      if (p.load_c) {
        sum[i][j] = _mm512_maskz_loadu_ps(mask, c + i * p.ldc + j * kLanes);
        if (p.row_bias != nullptr) sum[i][j] = _mm512_add_ps(sum[i][j], bias);
      }
      if (p.col_bias != nullptr) {
        const float* col_bias = p.col_bias + col + j * kLanes;
        sum[i][j] = _mm512_add_ps(sum[i][j], _mm512_maskz_loadu_ps(mask, col_bias));
      }
    }
  }

  const float* a = p.a + row * p.a_row_stride;
  const float* b = p.b + col;
  // The rows of the next tile, a cache line of each every 16 steps: streams this short are over
  // before the hardware sees them.
  const float* next = a + MR * p.a_row_stride;
  for (int64_t l = 0; l < p.k; l += kLanes, next += kLanes * p.a_k_stride) {
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) _mm_prefetch(next + i * p.a_row_stride, _MM_HINT_T0);
    const int64_t steps = p.k - l < kLanes ? p.k - l : kLanes;
    for (int64_t step = 0; step < steps; ++step) {
      for (int64_t line = 0; line < ahead.lines; ++line) {
        _mm_prefetch(ahead.from + line * kLanes, _MM_HINT_T1);
      }
      ahead.from += p.ahead_stride;
      if constexpr (kScattered) b = p.b + col + p.b_rows[l + step];
      __m512 bv[W];
#pragma GCC unroll 4
      for (int j = 0; j < W; ++j) {
        bv[j] = j == W - 1 ? _mm512_maskz_loadu_ps(last, b + j * kLanes)
                           : _mm512_loadu_ps(b + j * kLanes);
      }
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) {
        const __m512 av = _mm512_set1_ps(a[i * p.a_row_stride]);
#pragma GCC unroll 4
        for (int j = 0; j < W; ++j) sum[i][j] = _mm512_fmadd_ps(av, bv[j], sum[i][j]);
      }
      a += p.a_k_stride;
      if constexpr (!kScattered) b += p.ldb;
    }
  }

  if (p.row_scale != nullptr) {
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const __m512 scale = _mm512_set1_ps(p.row_scale[row + i]);
      const __m512 shift = _mm512_set1_ps(p.row_shift[row + i]);
#pragma GCC unroll 4
      for (int j = 0; j < W; ++j) sum[i][j] = _mm512_add_ps(_mm512_mul_ps(sum[i][j], scale), shift);
    }
  }

  const __m512 lo = _mm512_set1_ps(p.min);
  const __m512 hi = _mm512_set1_ps(p.max);
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < W; ++j) {
      const __mmask16 mask = j == W - 1 ? last : static_cast<__mmask16>(0xffff);
      // Both return their second operand where the first is not greater (less), also for NaN.
      const __m512 value = _mm512_min_ps(hi, _mm512_max_ps(lo, sum[i][j]));
      _mm512_mask_storeu_ps(c + i * p.ldc + j * kLanes, mask, value);
    }
  }
}

template <int W, bool kScattered>
void tile_of_rows(int rows, const GemmF32Params& p, int64_t row, int64_t col, __mmask16 last,
                  Ahead ahead) {
  switch (rows) {
#define DWINDLE_ROWS(MR)                                                                    \
  case MR:                                                                                  \
    if constexpr (MR <= kMaxRows[W - 1]) tile<MR, W, kScattered>(p, row, col, last, ahead); \
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
    DWINDLE_ROWS(13)
    DWINDLE_ROWS(14)
#undef DWINDLE_ROWS
    default:
      break;
  }
}

template <int W, bool kScattered>
void columns(const GemmF32Params& p, int64_t col, __mmask16 last) {
  const int64_t tiles = (p.m + kMaxRows[W - 1] - 1) / kMaxRows[W - 1];
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t row = p.m * t / tiles;
    const int64_t end = p.m * (t + 1) / tiles;
    // Shared out among the tiles: memory then has the whole time of the block.
    const int64_t line = p.ahead_lines * t / tiles;
    const Ahead ahead = {p.ahead + line * kLanes, p.ahead_lines * (t + 1) / tiles - line};
    tile_of_rows<W, kScattered>(static_cast<int>(end - row), p, row, col, last, ahead);
  }
}

template <bool kScattered>
void product(const GemmF32Params& p) {
  const int64_t few = p.n % kLanes;
  const int64_t n = few > 0 && worth_turning(p, few) ? p.n - few : p.n;
  for (int64_t col = 0; col < n; col += kMaxVectors * kLanes) {
    const int64_t left = n - col;
    const int64_t vectors =
        left >= kMaxVectors * kLanes ? kMaxVectors : (left + kLanes - 1) / kLanes;
    const int64_t cut = left - (vectors - 1) * kLanes;
    const auto last = static_cast<__mmask16>(cut >= kLanes ? 0xffff : (1u << cut) - 1);
    switch (vectors) {
      case 1:
        columns<1, kScattered>(p, col, last);
        break;
      case 2:
        columns<2, kScattered>(p, col, last);
        break;
      case 3:
        columns<3, kScattered>(p, col, last);
        break;
      default:
        columns<4, kScattered>(p, col, last);
        break;
    }
  }
  // In the end: by now the rows of A are near.
  if (n < p.n) few_columns<kScattered>(p, n, few);
}

}  // namespace

void gemm_f32_avx512(const GemmF32Params& p) noexcept {
  p.b_rows != nullptr ? product<true>(p) : product<false>(p);
}

}  // namespace dwindle::kernels
#endif
