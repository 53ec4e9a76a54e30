// Copies a strip of the plane into zero-padded rows, columns split by their phase modulo the
// stride, so that each tap of 16 neighbouring outputs is one load; then computes tiles of R rows by
// V vectors.
#include "core/kernels/depthwise_f32/depthwise_f32.h"

#if defined(__AVX512F__)
#include <immintrin.h>

namespace dwindle::kernels {
namespace {

constexpr int64_t kLanes = 16;

int64_t at_most(int64_t value, int64_t limit) { return value < limit ? value : limit; }

__mmask16 lanes_below(int64_t count) {
  if (count >= kLanes) return 0xffff;
  return count <= 0 ? 0 : static_cast<__mmask16>((1u << count) - 1);
}

// The lanes i for which 0 <= at + i < width.
__mmask16 lanes_inside(int64_t at, int64_t width) {
  return static_cast<__mmask16>(lanes_below(width - at) & ~lanes_below(-at));
}

// One padded row, made from `width` values: 0 above and below the plane.
void pad_row(const DepthwiseF32Params& p, const float* row, int64_t width, float* to) {
  const DepthwiseF32Geometry& g = p.geometry;
  if (g.stride_w == 1) {
    for (int64_t j = 0; j < p.phase_width; j += kLanes) {
      const int64_t at = j - g.pad_left;
      _mm512_store_ps(to + j, _mm512_maskz_loadu_ps(lanes_inside(at, width), row + at));
    }
  } else if (g.stride_w == 2) {
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    for (int64_t j = 0; j < p.phase_width; j += kLanes) {
      const int64_t at = 2 * j - g.pad_left;
      const __m512 a = _mm512_maskz_loadu_ps(lanes_inside(at, width), row + at);
      const __m512 b = _mm512_maskz_loadu_ps(lanes_inside(at + kLanes, width), row + at + kLanes);
      _mm512_store_ps(to + j, _mm512_permutex2var_ps(a, even, b));
      _mm512_store_ps(to + p.phase_width + j, _mm512_permutex2var_ps(a, odd, b));
    }
  } else {
    for (int64_t phase = 0; phase < g.stride_w; ++phase) {
      for (int64_t j = 0; j < p.phase_width; ++j) {
        const int64_t at = j * g.stride_w + phase - g.pad_left;
        to[phase * p.phase_width + j] = at >= 0 && at < width ? row[at] : 0.0f;
      }
    }
  }
}

// R rows by V vectors of the output, the last vector cut by `last`.
template <int R, int V>
void tile(const DepthwiseF32Params& p, const float* from, float* to, __mmask16 last) {
  const DepthwiseF32Geometry& g = p.geometry;
  const int64_t pitch = g.stride_w * p.phase_width;
  const int64_t out_pitch = g.stride_h * pitch;
  __m512 sum[R][V];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sum[r][v] = _mm512_set1_ps(p.bias);
  }
  const float* w = p.w;
  for (int64_t ky = 0; ky < g.kernel_h; ++ky) {
    const float* row = from + ky * g.dilation_h * pitch;
    int64_t phase = 0;
    int64_t shift = 0;
    for (int64_t kx = 0; kx < g.kernel_w; ++kx) {
      const __m512 weight = _mm512_set1_ps(*w++);
      const float* x = row + phase * p.phase_width + shift;
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) {
          const __m512 value = _mm512_loadu_ps(x + r * out_pitch + v * kLanes);
          sum[r][v] = _mm512_fmadd_ps(weight, value, sum[r][v]);
        }
      }
      phase += g.dilation_w;
      while (phase >= g.stride_w) {
        phase -= g.stride_w;
        ++shift;
      }
    }
  }
  const __m512 lo = _mm512_set1_ps(p.min);
  const __m512 hi = _mm512_set1_ps(p.max);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      const __m512 value = _mm512_min_ps(hi, _mm512_max_ps(lo, sum[r][v]));
      const __mmask16 mask = v == V - 1 ? last : static_cast<__mmask16>(0xffff);
      _mm512_mask_storeu_ps(to + r * g.out_w + v * kLanes, mask, value);
    }
  }
}

template <int V>
void columns(const DepthwiseF32Params& p, int64_t rows, const float* from, float* to,
             __mmask16 last) {
  const int64_t pitch = p.geometry.stride_h * p.geometry.stride_w * p.phase_width;
  constexpr int kRows = V >= 4 ? 2 : V == 1 ? 8 : 4;
  int64_t r = 0;
  for (; r + kRows <= rows; r += kRows) {
    tile<kRows, V>(p, from + r * pitch, to + r * p.geometry.out_w, last);
  }
  for (; r + 2 <= rows; r += 2) {
    tile<2, V>(p, from + r * pitch, to + r * p.geometry.out_w, last);
  }
  if (r < rows) tile<1, V>(p, from + r * pitch, to + r * p.geometry.out_w, last);
}

}  // namespace

void depthwise_f32_avx512(const DepthwiseF32Params& p) noexcept {
  const DepthwiseF32Geometry& g = p.geometry;
  const int64_t pitch = g.stride_w * p.phase_width;
  for (int64_t oy = 0; oy < g.out_h; oy += p.strip_rows) {
    const int64_t rows = at_most(p.strip_rows, g.out_h - oy);
    const int64_t in_rows = (rows - 1) * g.stride_h + (g.kernel_h - 1) * g.dilation_h + 1;
    for (int64_t r = 0; r < in_rows; ++r) {
      const int64_t iy = oy * g.stride_h - g.pad_top + r;
      const bool inside = iy >= 0 && iy < g.in_h;
      pad_row(p, inside ? p.x + iy * g.in_w : p.x, inside ? g.in_w : 0, p.scratch + r * pitch);
    }
    for (int64_t ox = 0; ox < g.out_w; ox += 4 * kLanes) {
      const int64_t left = at_most(g.out_w - ox, 4 * kLanes);
      const int64_t vectors = (left + kLanes - 1) / kLanes;
      const __mmask16 last = lanes_below(left - (vectors - 1) * kLanes);
      const float* from = p.scratch + ox;
      float* to = p.y + oy * g.out_w + ox;
      switch (vectors) {
        case 1:
          columns<1>(p, rows, from, to, last);
          break;
        case 2:
          columns<2>(p, rows, from, to, last);
          break;
        case 3:
          columns<3>(p, rows, from, to, last);
          break;
        default:
          columns<4>(p, rows, from, to, last);
          break;
      }
    }
  }
}

}  // namespace dwindle::kernels
#endif
