// Planes whose padded rows fit one or two vectors, in registers. Included by avx512.cpp alone.
#pragma once

#include "core/kernels/depthwise_f32/avx512_sums.h"

#if defined(__AVX512F__)
#include <immintrin.h>

namespace dwindle::kernels {
namespace {

// Planes whose padded rows fit S vectors, and whose output rows fit one, need no strip: a tap is a
// permutation of a row in registers. Narrow rows stored to the strip would have to reach the cache
// before the taps, which straddle them, could be loaded.
constexpr int64_t kMaxNarrowTaps = 7;

template <int S>
class NarrowPlane {
 public:
  explicit NarrowPlane(const DepthwiseF32Params& p) : p_(p) {
    const DepthwiseF32Geometry& g = p.geometry;
    for (int s = 0; s < S; ++s) inside_[s] = lanes_inside(s * kLanes - g.pad_left, g.in_w);
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i first =
        _mm512_mullo_epi32(lane, _mm512_set1_epi32(static_cast<int32_t>(g.stride_w)));
    for (int64_t kx = 0; kx < g.kernel_w; ++kx) {
      const __m512i column =
          _mm512_add_epi32(first, _mm512_set1_epi32(static_cast<int32_t>(kx * g.dilation_w)));
      from_[kx] = _mm512_min_epi32(column, _mm512_set1_epi32(S * kLanes - 1));
    }
  }

  // At least one lane stays 0, for the taps that look farther.
  static bool fits(const DepthwiseF32Geometry& g) {
    return g.pad_left + g.in_w < S * kLanes && g.out_w <= kLanes && g.kernel_w <= kMaxNarrowTaps;
  }

  // A row of the padded plane, which is at `row` in the plane itself.
  struct InputRow {
    const NarrowPlane& plane;
    int64_t row;
    __m512 parts[S];

    InputRow(const NarrowPlane& in, int64_t at) : plane(in), row(at) {
      const DepthwiseF32Geometry& g = in.p_.geometry;
      const bool exists = at >= 0 && at < g.in_h;
      const float* from = in.p_.x + (exists ? at : 0) * g.in_w - g.pad_left;
      for (int s = 0; s < S; ++s) {
        const __mmask16 mask = exists ? in.inside_[s] : static_cast<__mmask16>(0);
        parts[s] = _mm512_maskz_loadu_ps(mask, from + s * kLanes);
      }
    }
    InputRow below() const { return InputRow(plane, row + 1); }
    void load_tap(int64_t kx, __m512 (&value)[1]) const {
      if constexpr (S == 1) {
        value[0] = _mm512_permutexvar_ps(plane.from_[kx], parts[0]);
      } else {
        value[0] = _mm512_permutex2var_ps(parts[0], plane.from_[kx], parts[1]);
      }
    }
  };

 private:
  const DepthwiseF32Params& p_;
  __m512i from_[kMaxNarrowTaps];  // the column of the padded row that each lane of a tap sees
  __mmask16 inside_[S];           // lanes of the padded row that are in the plane
};

template <int KH, int SH, int S, int R>
void narrow_tile(const DepthwiseF32Params& p, const NarrowPlane<S>& plane, int64_t oy) {
  const DepthwiseF32Geometry& g = p.geometry;
  __m512 sum[R][1];
  start<R, 1>(p, sum);
  add_rows<KH, SH, R, 1, 0>(p, typename NarrowPlane<S>::InputRow(plane, oy * SH - g.pad_top), sum);
  finish<R, 1>(p, sum, p.y + oy * g.out_w, lanes_below(g.out_w));
}

template <int KH, int SH, int S>
void run_narrow(const DepthwiseF32Params& p) {
  const NarrowPlane<S> plane(p);
  using Tile = void (*)(const DepthwiseF32Params&, const NarrowPlane<S>&, int64_t);
  static constexpr Tile kTiles[] = {
      narrow_tile<KH, SH, S, 1>, narrow_tile<KH, SH, S, 2>, narrow_tile<KH, SH, S, 3>,
      narrow_tile<KH, SH, S, 4>, narrow_tile<KH, SH, S, 5>, narrow_tile<KH, SH, S, 6>,
      narrow_tile<KH, SH, S, 7>, narrow_tile<KH, SH, S, 8>,
  };
  const int64_t rows = p.geometry.out_h;
  const int64_t count = (rows + kMaxRows - 1) / kMaxRows;
  for (int64_t t = 0; t < count; ++t) {
    const int64_t oy = rows * t / count;
    kTiles[rows * (t + 1) / count - oy - 1](p, plane, oy);
  }
}

template <int KH, int SH>
bool ran_narrow(const DepthwiseF32Params& p) {
  if (NarrowPlane<1>::fits(p.geometry)) {
    run_narrow<KH, SH, 1>(p);
  } else if (NarrowPlane<2>::fits(p.geometry)) {
    run_narrow<KH, SH, 2>(p);
  } else {
    return false;
  }
  return true;
}

bool ran_narrow(const DepthwiseF32Params& p) {
  const DepthwiseF32Geometry& g = p.geometry;
  if (g.dilation_h != 1) return false;
  if (g.kernel_h == 3 && g.stride_h == 1) return ran_narrow<3, 1>(p);
  if (g.kernel_h == 5 && g.stride_h == 1) return ran_narrow<5, 1>(p);
  if (g.kernel_h == 3 && g.stride_h == 2) return ran_narrow<3, 2>(p);
  if (g.kernel_h == 5 && g.stride_h == 2) return ran_narrow<5, 2>(p);
  return false;
}

}  // namespace
}  // namespace dwindle::kernels
#endif
