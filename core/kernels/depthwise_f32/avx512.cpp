// Three ways, the narrowest planes first: avx512_flat.h, avx512_narrow.h, and here for all others:
// copies a strip of the plane into zero-padded rows, columns split by their phase modulo the
// stride, so that each tap of 16 neighbouring outputs is one load; then computes tiles of R rows by
// V vectors.
#include "core/kernels/depthwise_f32/avx512_flat.h"
#include "core/kernels/depthwise_f32/avx512_narrow.h"
#include "core/kernels/depthwise_f32/depthwise_f32.h"

#if defined(__AVX512F__)
#include <immintrin.h>

namespace dwindle::kernels {
namespace {

constexpr int kMaxVectors = 2;

// Rows of the strip as they lie in the plane and in the scratch: `count` rows inside the plane.
struct Rows {
  const float* from;
  float* to;
  int64_t count, pitch;
};

// Floats to ask for ahead of the copy: the hardware's own prefetch stops at the end of each page.
constexpr int64_t kAhead = 1024;

void pad_stride1(const DepthwiseF32Params& p, const Rows& rows) {
  const int64_t in_w = p.geometry.in_w;
  const float* from = rows.from;
  float* to = rows.to;
  if (p.phase_width == kLanes) {  // rows of one vector: the mask is the same for all
    const __mmask16 mask = lanes_inside(-p.geometry.pad_left, in_w);
    for (int64_t r = 0; r < rows.count; ++r, from += in_w, to += rows.pitch) {
      _mm512_store_ps(to, _mm512_maskz_loadu_ps(mask, from - p.geometry.pad_left));
    }
    return;
  }
  for (int64_t r = 0; r < rows.count; ++r, from += in_w, to += rows.pitch) {
    for (int64_t j = 0; j < p.phase_width; j += kLanes) {
      _mm_prefetch(from + j + kAhead, _MM_HINT_T0);
      _mm512_store_ps(to + j, load_inside(from, j - p.geometry.pad_left, in_w));
    }
  }
}

void pad_stride2(const DepthwiseF32Params& p, const Rows& rows) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
  const int64_t in_w = p.geometry.in_w;
  const float* from = rows.from;
  float* to = rows.to;
  for (int64_t r = 0; r < rows.count; ++r, from += in_w, to += rows.pitch) {
    for (int64_t j = 0; j < p.phase_width; j += kLanes) {
      const int64_t at = 2 * j - p.geometry.pad_left;
      _mm_prefetch(from + at + kAhead, _MM_HINT_T0);
      _mm_prefetch(from + at + kAhead + kLanes, _MM_HINT_T0);
      const __m512 a = load_inside(from, at, in_w);
      const __m512 b = load_inside(from, at + kLanes, in_w);
      _mm512_store_ps(to + j, _mm512_permutex2var_ps(a, even, b));
      _mm512_store_ps(to + p.phase_width + j, _mm512_permutex2var_ps(a, odd, b));
    }
  }
}

void pad_any_stride(const DepthwiseF32Params& p, const Rows& rows) {
  const DepthwiseF32Geometry& g = p.geometry;
  for (int64_t phase = 0; phase < g.stride_w; ++phase) {
    for (int64_t j = 0; j < p.phase_width; ++j) {
      const int64_t at = j * g.stride_w + phase - g.pad_left;
      float* to = rows.to + phase * p.phase_width + j;
      for (int64_t r = 0; r < rows.count; ++r, to += rows.pitch) {
        *to = at >= 0 && at < g.in_w ? rows.from[r * g.in_w + at] : 0.0f;
      }
    }
  }
}

void zero(float* to, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) _mm512_store_ps(to + i, _mm512_setzero_ps());
}

// Fills the scratch with the padded input rows from `first` on, counted in the plane.
void pad_strip(const DepthwiseF32Params& p, int64_t first, int64_t count) {
  const DepthwiseF32Geometry& g = p.geometry;
  const int64_t pitch = g.stride_w * p.phase_width;
  const int64_t above = at_most(first < 0 ? -first : 0, count);
  const int64_t left = g.in_h - (first + above);
  const int64_t inside = at_most(left > 0 ? left : 0, count - above);
  zero(p.scratch, above * pitch);
  zero(p.scratch + (above + inside) * pitch, (count - above - inside) * pitch);
  if (inside == 0) return;
  const Rows rows = {p.x + (first + above) * g.in_w, p.scratch + above * pitch, inside, pitch};
  if (g.stride_w == 1) {
    pad_stride1(p, rows);
  } else if (g.stride_w == 2) {
    pad_stride2(p, rows);
  } else {
    pad_any_stride(p, rows);
  }
}

// R rows by V vectors of the output, the last vector cut by `last`, for any kernel.
template <int R, int V>
void tile(const DepthwiseF32Params& p, const float* from, float* to, __mmask16 last) {
  const int64_t taps = p.geometry.kernel_h * p.geometry.kernel_w;
  const int64_t pitch = p.geometry.stride_h * p.geometry.stride_w * p.phase_width;
  __m512 sum[R][V];
  start<R, V>(p, sum);
  for (int64_t t = 0; t < taps; ++t) {
    const __m512 weight = _mm512_set1_ps(p.w[t]);
    const float* x = from + p.tap_offset[t];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        const __m512 value = _mm512_loadu_ps(x + r * pitch + v * kLanes);
        sum[r][v] = _mm512_fmadd_ps(weight, value, sum[r][v]);
      }
    }
  }
  finish<R, V>(p, sum, to, last);
}

// A row of the padded strip.
template <int V>
struct StripRow {
  const DepthwiseF32Params& p;
  const float* from;

  StripRow below() const { return {p, from + p.geometry.stride_w * p.phase_width}; }
  void load_tap(int64_t kx, __m512 (&value)[V]) const {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) value[v] = _mm512_loadu_ps(from + p.tap_offset[kx] + v * kLanes);
  }
};

// The same for kernels of KH rows, stride SH and no dilation down the plane: an input row, loaded
// once, serves all the output rows that see it. The loads, most of which straddle two cache lines,
// would otherwise be the limit. The order within one sum stays that of the taps.
template <int KH, int SH, int R, int V>
void shared_tile(const DepthwiseF32Params& p, const float* from, float* to, __mmask16 last) {
  __m512 sum[R][V];
  start<R, V>(p, sum);
  add_rows<KH, SH, R, V, 0>(p, StripRow<V>{p, from}, sum);
  finish<R, V>(p, sum, to, last);
}

using TileFn = void (*)(const DepthwiseF32Params&, const float*, float*, __mmask16);

// The tiles of one width, by their number of rows.
struct Tiles {
  TileFn of_rows[kMaxRows + 1];
  int max_rows;
};

constexpr Tiles kAnyKernel[kMaxVectors] = {
    {{nullptr, tile<1, 1>, tile<2, 1>, tile<3, 1>, tile<4, 1>, tile<5, 1>, tile<6, 1>, tile<7, 1>,
      tile<8, 1>},
     8},
    {{nullptr, tile<1, 2>, tile<2, 2>, tile<3, 2>, tile<4, 2>, tile<5, 2>, tile<6, 2>}, 6},
};

template <int KH, int SH>
constexpr Tiles kShared[kMaxVectors] = {
    {{nullptr, tile<1, 1>, tile<2, 1>, tile<3, 1>, shared_tile<KH, SH, 4, 1>,
      shared_tile<KH, SH, 5, 1>, shared_tile<KH, SH, 6, 1>, shared_tile<KH, SH, 7, 1>,
      shared_tile<KH, SH, 8, 1>},
     8},
    {{nullptr, tile<1, 2>, tile<2, 2>, shared_tile<KH, SH, 3, 2>, shared_tile<KH, SH, 4, 2>,
      shared_tile<KH, SH, 5, 2>, shared_tile<KH, SH, 6, 2>},
     6},
};

const Tiles* tiles_for(const DepthwiseF32Geometry& g) {
  if (g.dilation_h == 1 && g.stride_h == 1) {
    if (g.kernel_h == 3) return kShared<3, 1>;
    if (g.kernel_h == 5) return kShared<5, 1>;
    if (g.kernel_h == 7) return kShared<7, 1>;
  }
  if (g.dilation_h == 1 && g.stride_h == 2) {
    if (g.kernel_h == 3) return kShared<3, 2>;
    if (g.kernel_h == 5) return kShared<5, 2>;
  }
  return kAnyKernel;
}

// All rows of the strip, shared out evenly: a tile of one row would wait for its own sums.
void run_columns(const DepthwiseF32Params& p, const Tiles& tiles, int64_t rows, const float* from,
                 float* to, __mmask16 last) {
  const int64_t pitch = p.geometry.stride_h * p.geometry.stride_w * p.phase_width;
  const int64_t count = (rows + tiles.max_rows - 1) / tiles.max_rows;
  const int64_t few = rows / count;
  const int64_t extra = rows % count;
  for (int64_t t = 0; t < count; ++t) {
    const int64_t height = few + (t < extra ? 1 : 0);
    tiles.of_rows[height](p, from, to, last);
    from += height * pitch;
    to += height * p.geometry.out_w;
  }
}

}  // namespace

void depthwise_f32_avx512(const DepthwiseF32Params& p) noexcept {
  if (ran_flat(p) || ran_narrow(p)) return;
  const DepthwiseF32Geometry& g = p.geometry;
  const Tiles* const tiles = tiles_for(g);
  for (int64_t oy = 0; oy < g.out_h; oy += p.strip_rows) {
    const int64_t rows = at_most(p.strip_rows, g.out_h - oy);
    pad_strip(p, oy * g.stride_h - g.pad_top,
              (rows - 1) * g.stride_h + (g.kernel_h - 1) * g.dilation_h + 1);
    for (int64_t ox = 0; ox < g.out_w; ox += kMaxVectors * kLanes) {
      const int64_t left = at_most(g.out_w - ox, kMaxVectors * kLanes);
      const int64_t vectors = (left + kLanes - 1) / kLanes;
      const __mmask16 last = lanes_below(left - (vectors - 1) * kLanes);
      run_columns(p, tiles[vectors - 1], rows, p.scratch + ox, p.y + oy * g.out_w + ox, last);
    }
  }
}

}  // namespace dwindle::kernels
#endif
