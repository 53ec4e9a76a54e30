// Copies a strip of the plane into zero-padded rows, columns split by their phase modulo the
// stride, so that each tap of 8 neighbouring outputs is one load; then computes tiles of R rows by
// V vectors.
#include "core/kernels/depthwise_f32/depthwise_f32.h"

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

namespace dwindle::kernels {
namespace {

constexpr int64_t kLanes = 8;
constexpr int kMaxVectors = 2;
constexpr int kMaxRows = 8;

int64_t at_most(int64_t value, int64_t limit) { return value < limit ? value : limit; }

int64_t at_least(int64_t value, int64_t limit) { return value > limit ? value : limit; }

// The lanes i for which 0 <= at + i < width.
__m256i lanes_inside(int64_t at, int64_t width) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const int64_t first = at_least(at_most(-at, kLanes), 0);
  const int64_t end = at_least(at_most(width - at, kLanes), 0);
  const __m256i below = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(end)), lane);
  const __m256i before = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(first)), lane);
  return _mm256_andnot_si256(before, below);
}

// Rows of the strip as they lie in the plane and in the scratch: `count` rows inside the plane.
struct Rows {
  const float* from;
  float* to;
  int64_t count, pitch;
};

// 8 values of a row from `at` on, 0 outside.
__m256 load_inside(const float* row, int64_t at, int64_t width) {
  if (at >= 0 && at + kLanes <= width) return _mm256_loadu_ps(row + at);
  return _mm256_maskload_ps(row + at, lanes_inside(at, width));
}

void pad_stride1(const DepthwiseF32Params& p, const Rows& rows) {
  const int64_t in_w = p.geometry.in_w;
  const float* from = rows.from;
  float* to = rows.to;
  if (p.phase_width == kLanes) {  // rows of one vector: the mask is the same for all
    const __m256i mask = lanes_inside(-p.geometry.pad_left, in_w);
    for (int64_t r = 0; r < rows.count; ++r, from += in_w, to += rows.pitch) {
      _mm256_store_ps(to, _mm256_maskload_ps(from - p.geometry.pad_left, mask));
    }
    return;
  }
  for (int64_t r = 0; r < rows.count; ++r, from += in_w, to += rows.pitch) {
    for (int64_t j = 0; j < p.phase_width; j += kLanes) {
      _mm256_store_ps(to + j, load_inside(from, j - p.geometry.pad_left, in_w));
    }
  }
}

__m256 halves_in_order(__m256 v) {
  return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), 0xd8));
}

void pad_stride2(const DepthwiseF32Params& p, const Rows& rows) {
  const int64_t in_w = p.geometry.in_w;
  const float* from = rows.from;
  float* to = rows.to;
  for (int64_t r = 0; r < rows.count; ++r, from += in_w, to += rows.pitch) {
    for (int64_t j = 0; j < p.phase_width; j += kLanes) {
      const int64_t at = 2 * j - p.geometry.pad_left;
      const __m256 a = load_inside(from, at, in_w);
      const __m256 b = load_inside(from, at + kLanes, in_w);
      // The shuffles work within halves and leave the pairs in the order a, b, a, b.
      _mm256_store_ps(to + j, halves_in_order(_mm256_shuffle_ps(a, b, 0x88)));
      _mm256_store_ps(to + p.phase_width + j, halves_in_order(_mm256_shuffle_ps(a, b, 0xdd)));
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
  for (int64_t i = 0; i < count; i += kLanes) _mm256_store_ps(to + i, _mm256_setzero_ps());
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

template <int R, int V>
void start(const DepthwiseF32Params& p, __m256 (&sum)[R][V]) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sum[r][v] = _mm256_set1_ps(p.bias);
  }
}

template <int R, int V>
void finish(const DepthwiseF32Params& p, __m256 (&sum)[R][V], float* to, __m256i last) {
  if (p.scales) {
    const __m256 scale = _mm256_set1_ps(p.scale);
    const __m256 shift = _mm256_set1_ps(p.shift);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[r][v] = _mm256_add_ps(_mm256_mul_ps(sum[r][v], scale), shift);
    }
  }
  const __m256 lo = _mm256_set1_ps(p.min);
  const __m256 hi = _mm256_set1_ps(p.max);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      const __m256 value = _mm256_min_ps(hi, _mm256_max_ps(lo, sum[r][v]));
      float* y = to + r * p.geometry.out_w + v * kLanes;
      if (v == V - 1) {
        _mm256_maskstore_ps(y, last, value);
      } else {
        _mm256_storeu_ps(y, value);
      }
    }
  }
}

// R rows by V vectors of the output, the last vector cut by `last`, for any kernel.
template <int R, int V>
void tile(const DepthwiseF32Params& p, const float* from, float* to, __m256i last) {
  const int64_t taps = p.geometry.kernel_h * p.geometry.kernel_w;
  const int64_t pitch = p.geometry.stride_h * p.geometry.stride_w * p.phase_width;
  __m256 sum[R][V];
  start<R, V>(p, sum);
  for (int64_t t = 0; t < taps; ++t) {
    const __m256 weight = _mm256_set1_ps(p.w[t]);
    const float* x = from + p.tap_offset[t];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        const __m256 value = _mm256_loadu_ps(x + r * pitch + v * kLanes);
        sum[r][v] = _mm256_fmadd_ps(weight, value, sum[r][v]);
      }
    }
  }
  finish<R, V>(p, sum, to, last);
}

// The multiply-adds that input row `Row` of a tile takes part in, then those of the rows below.
template <int KH, int SH, int R, int V, int Row>
[[gnu::always_inline]] inline void add_rows(const DepthwiseF32Params& p, const float* x,
                                            __m256 (&sum)[R][V]) {
  const int64_t kernel_w = p.geometry.kernel_w;
  for (int64_t kx = 0; kx < kernel_w; ++kx) {
    __m256 value[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) value[v] = _mm256_loadu_ps(x + p.tap_offset[kx] + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const int ky = Row - r * SH;
      if (ky < 0 || ky >= KH) continue;
      const __m256 weight = _mm256_set1_ps(p.w[ky * kernel_w + kx]);
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[r][v] = _mm256_fmadd_ps(weight, value[v], sum[r][v]);
    }
  }
  if constexpr (Row + 1 < (R - 1) * SH + KH) {
    add_rows<KH, SH, R, V, Row + 1>(p, x + p.geometry.stride_w * p.phase_width, sum);
  }
}

// The same for kernels of KH rows, stride SH and no dilation down the plane: an input row, loaded
// once, serves all the output rows that see it. The loads, most of which straddle two cache lines,
// would otherwise be the limit. The order within one sum stays that of the taps.
template <int KH, int SH, int R, int V>
void shared_tile(const DepthwiseF32Params& p, const float* from, float* to, __m256i last) {
  __m256 sum[R][V];
  start<R, V>(p, sum);
  add_rows<KH, SH, R, V, 0>(p, from, sum);
  finish<R, V>(p, sum, to, last);
}

using TileFn = void (*)(const DepthwiseF32Params&, const float*, float*, __m256i);

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
                 float* to, __m256i last) {
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

void depthwise_f32_avx2(const DepthwiseF32Params& p) noexcept {
  const DepthwiseF32Geometry& g = p.geometry;
  const Tiles* const tiles = tiles_for(g);
  for (int64_t oy = 0; oy < g.out_h; oy += p.strip_rows) {
    const int64_t rows = at_most(p.strip_rows, g.out_h - oy);
    pad_strip(p, oy * g.stride_h - g.pad_top,
              (rows - 1) * g.stride_h + (g.kernel_h - 1) * g.dilation_h + 1);
    for (int64_t ox = 0; ox < g.out_w; ox += kMaxVectors * kLanes) {
      const int64_t left = at_most(g.out_w - ox, kMaxVectors * kLanes);
      const int64_t vectors = (left + kLanes - 1) / kLanes;
      const __m256i last = lanes_inside(0, left - (vectors - 1) * kLanes);
      run_columns(p, tiles[vectors - 1], rows, p.scratch + ox, p.y + oy * g.out_w + ox, last);
    }
  }
}

}  // namespace dwindle::kernels
#endif
