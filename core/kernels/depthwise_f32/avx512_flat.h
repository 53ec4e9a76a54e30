// Planes so narrow that a vector holds several rows. Included by avx512.cpp alone.
//
// Where the output is as wide as the input, both are one array of rows without gaps, and a tap of
// the output at i is the input at i plus a constant: a vector of whole rows is one load, whose mask
// leaves out the columns outside the plane, the same for every vector. The plane is copied between
// rows of zeros for the taps above and below it.
#pragma once

#include <array>

#include "core/kernels/depthwise_f32/avx512_sums.h"

#if defined(__AVX512F__)
#include <immintrin.h>

namespace dwindle::kernels {
namespace {

// Two rows at least fit a vector.
constexpr int64_t kMaxFlatWidth = kLanes / 2;
constexpr int64_t kMaxFlatTaps = 7;
constexpr int kMaxFlatVectors = 8;

// Of each lane, its column in rows of every width.
constexpr auto kColumns = [] {
  std::array<std::array<int32_t, kLanes>, kMaxFlatWidth + 1> columns = {};
  for (int32_t width = 1; width <= kMaxFlatWidth; ++width) {
    for (int32_t lane = 0; lane < kLanes; ++lane) columns[width][lane] = lane % width;
  }
  return columns;
}();

struct FlatPlane {
  explicit FlatPlane(const DepthwiseF32Params& p)
      : width(p.geometry.in_w), lanes(kLanes / width * width) {
    const DepthwiseF32Geometry& g = p.geometry;
    const __m512i column = _mm512_loadu_si512(kColumns[width].data());
    for (int64_t kx = 0; kx < g.kernel_w; ++kx) {
      const auto shift = static_cast<int32_t>(kx * g.dilation_w - g.pad_left);
      // A negative column is a large one without its sign.
      inside[kx] = _mm512_mask_cmplt_epu32_mask(lanes_below(lanes),
                                                _mm512_add_epi32(column, _mm512_set1_epi32(shift)),
                                                _mm512_set1_epi32(static_cast<int32_t>(width)));
    }
  }

  static bool fits(const DepthwiseF32Params& p) {
    const DepthwiseF32Geometry& g = p.geometry;
    return g.stride_h == 1 && g.stride_w == 1 && g.in_w == g.out_w && g.in_w <= kMaxFlatWidth &&
           g.kernel_w <= kMaxFlatTaps && g.pad_top >= 0 && g.pad_left >= 0 &&
           g.pad_left <= kLanes && p.strip_rows == g.out_h;
  }

  int64_t width, lanes;            // of a row, and of the whole rows in a vector
  __mmask16 inside[kMaxFlatTaps];  // the lanes for which a column of the kernel is in the plane
};

// The first row of the padded plane; taps to the left of it may be read.
float* flat_rows(const DepthwiseF32Params& p) { return p.scratch + kLanes; }

void zero_flat(float* from, const float* to) {
  for (; from < to; from += kLanes) _mm512_storeu_ps(from, _mm512_setzero_ps());
}

// The plane between its rows of zeros. Each part is written in whole vectors, the next over them.
void pad_flat(const DepthwiseF32Params& p) {
  const DepthwiseF32Geometry& g = p.geometry;
  float* const rows = flat_rows(p);
  const int64_t height = g.out_h + (g.kernel_h - 1) * g.dilation_h;
  const int64_t first = at_most(g.pad_top, height);
  const int64_t count = at_most(g.in_h, height - first) * g.in_w;
  float* to = rows + first * g.in_w;
  zero_flat(p.scratch, to);
  for (int64_t i = 0; i < count; i += kLanes) {
    _mm512_storeu_ps(to + i, _mm512_maskz_loadu_ps(lanes_below(count - i), p.x + i));
  }
  zero_flat(to + count, rows + height * g.in_w + kLanes);
}

// V vectors of the output from vector `first` on.
template <int V>
void flat_tile(const DepthwiseF32Params& p, const FlatPlane& plane, int64_t first) {
  const DepthwiseF32Geometry& g = p.geometry;
  __m512 sum[V][1];
  start<V, 1>(p, sum);
  const float* from = flat_rows(p) + first * plane.lanes - g.pad_left;
  for (int64_t ky = 0; ky < g.kernel_h; ++ky) {
    for (int64_t kx = 0; kx < g.kernel_w; ++kx) {
      const __m512 weight = _mm512_set1_ps(p.w[ky * g.kernel_w + kx]);
      const float* x = from + ky * g.dilation_h * plane.width + kx * g.dilation_w;
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        const __m512 value = _mm512_maskz_loadu_ps(plane.inside[kx], x + v * plane.lanes);
        sum[v][0] = _mm512_fmadd_ps(weight, value, sum[v][0]);
      }
    }
  }
  scale_and_clamp<V, 1>(p, sum);
  const int64_t left = g.out_h * plane.width - first * plane.lanes;
#pragma GCC unroll 8
  for (int v = 0; v < V; ++v) {
    const __mmask16 mask = lanes_below(at_most(left - v * plane.lanes, plane.lanes));
    _mm512_mask_storeu_ps(p.y + (first + v) * plane.lanes, mask, sum[v][0]);
  }
}

bool ran_flat(const DepthwiseF32Params& p) {
  if (!FlatPlane::fits(p)) return false;
  using Tile = void (*)(const DepthwiseF32Params&, const FlatPlane&, int64_t);
  static constexpr Tile kTiles[kMaxFlatVectors] = {
      flat_tile<1>, flat_tile<2>, flat_tile<3>, flat_tile<4>,
      flat_tile<5>, flat_tile<6>, flat_tile<7>, flat_tile<8>,
  };
  const FlatPlane plane(p);
  pad_flat(p);
  const int64_t vectors = (p.geometry.out_h * plane.width + plane.lanes - 1) / plane.lanes;
  const int64_t count = (vectors + kMaxFlatVectors - 1) / kMaxFlatVectors;
  for (int64_t t = 0; t < count; ++t) {
    const int64_t first = vectors * t / count;
    kTiles[vectors * (t + 1) / count - first - 1](p, plane, first);
  }
  return true;
}

}  // namespace
}  // namespace dwindle::kernels
#endif
