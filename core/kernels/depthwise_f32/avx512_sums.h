// What the ways of the AVX-512 variant share: masks, and tiles of sums from their start to their
// end. Included by avx512.cpp alone.
#pragma once

#include "core/kernels/depthwise_f32/depthwise_f32.h"

#if defined(__AVX512F__)
#include <immintrin.h>

namespace dwindle::kernels {
namespace {

constexpr int64_t kLanes = 16;
constexpr int kMaxRows = 8;  // of a tile

int64_t at_most(int64_t value, int64_t limit) { return value < limit ? value : limit; }

__mmask16 lanes_below(int64_t count) {
  if (count >= kLanes) return 0xffff;
  return count <= 0 ? 0 : static_cast<__mmask16>((1u << count) - 1);
}

// The lanes i for which 0 <= at + i < width.
__mmask16 lanes_inside(int64_t at, int64_t width) {
  return static_cast<__mmask16>(lanes_below(width - at) & ~lanes_below(-at));
}

// 16 values of a row from `at` on, 0 outside.
__m512 load_inside(const float* row, int64_t at, int64_t width) {
  if (at >= 0 && at + kLanes <= width) return _mm512_loadu_ps(row + at);
  return _mm512_maskz_loadu_ps(lanes_inside(at, width), row + at);
}

// Inlined in any case: sums live in registers.
template <int R, int V>
[[gnu::always_inline]] inline void start(const DepthwiseF32Params& p, __m512 (&sum)[R][V]) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sum[r][v] = _mm512_set1_ps(p.bias);
  }
}

template <int R, int V>
[[gnu::always_inline]] inline void scale_and_clamp(const DepthwiseF32Params& p,
                                                   __m512 (&sum)[R][V]) {
  if (p.scales) {
    const __m512 scale = _mm512_set1_ps(p.scale);
    const __m512 shift = _mm512_set1_ps(p.shift);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[r][v] = _mm512_add_ps(_mm512_mul_ps(sum[r][v], scale), shift);
    }
  }
  const __m512 lo = _mm512_set1_ps(p.min);
  const __m512 hi = _mm512_set1_ps(p.max);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      sum[r][v] = _mm512_min_ps(hi, _mm512_max_ps(lo, sum[r][v]));
    }
  }
}

template <int R, int V>
[[gnu::always_inline]] inline void finish(const DepthwiseF32Params& p, __m512 (&sum)[R][V],
                                          float* to, __mmask16 last) {
  scale_and_clamp<R, V>(p, sum);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      const __mmask16 mask = v == V - 1 ? last : static_cast<__mmask16>(0xffff);
      _mm512_mask_storeu_ps(to + r * p.geometry.out_w + v * kLanes, mask, sum[r][v]);
    }
  }
}

// The multiply-adds that input row `Row` of a tile takes part in, then those of the rows below.
template <int KH, int SH, int R, int V, int Row, typename InputRow>
[[gnu::always_inline]] inline void add_rows(const DepthwiseF32Params& p, const InputRow& row,
                                            __m512 (&sum)[R][V]) {
  const int64_t kernel_w = p.geometry.kernel_w;
  for (int64_t kx = 0; kx < kernel_w; ++kx) {
    __m512 value[V];
    row.load_tap(kx, value);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const int ky = Row - r * SH;
      if (ky < 0 || ky >= KH) continue;
      const __m512 weight = _mm512_set1_ps(p.w[ky * kernel_w + kx]);
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[r][v] = _mm512_fmadd_ps(weight, value[v], sum[r][v]);
    }
  }
  if constexpr (Row + 1 < (R - 1) * SH + KH) {
    add_rows<KH, SH, R, V, Row + 1>(p, row.below(), sum);
  }
}

}  // namespace
}  // namespace dwindle::kernels
#endif
