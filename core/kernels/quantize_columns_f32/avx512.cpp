// Two registers hold one row: the candidates' errors of all columns grow side by side.
#include "core/kernels/quantize_columns_f32/quantize_columns_f32.h"

#if defined(__AVX512F__)
#include <immintrin.h>

namespace dwindle::kernels {
namespace {

constexpr int kLanes = 16;
constexpr int kVectors = kQuantizedColumns / kLanes;
constexpr float kRound = 12582912.0f;  // see scalar.cpp

struct Limits {
  __m512 low, high, round;
};

// As the scalar comparisons, a NaN becomes `low`.
[[gnu::always_inline]] inline __m512 rounded(__m512 t, const Limits& limits) {
  t = _mm512_min_ps(_mm512_max_ps(t, limits.low), limits.high);
  return _mm512_sub_ps(_mm512_add_ps(t, limits.round), limits.round);
}

[[gnu::always_inline]] inline void find_full_scales(const QuantizeColumnsF32Params& p,
                                                    const Limits& limits,
                                                    __m512 (&full)[kVectors]) {
  const __m512 zero = _mm512_setzero_ps();
  __m512 least[kVectors], greatest[kVectors];
  for (int v = 0; v < kVectors; ++v) least[v] = greatest[v] = zero;
  for (int64_t r = 0; r < p.rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const __m512 x = _mm512_load_ps(p.x + r * kQuantizedColumns + v * kLanes);
      least[v] = _mm512_min_ps(x, least[v]);
      greatest[v] = _mm512_max_ps(x, greatest[v]);
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    const __m512 both =
        _mm512_max_ps(_mm512_div_ps(least[v], limits.low), _mm512_div_ps(greatest[v], limits.high));
    full[v] =
        _mm512_mask_mov_ps(_mm512_set1_ps(1.0f), _mm512_cmp_ps_mask(both, zero, _CMP_GT_OQ), both);
  }
}

// The errors of one candidate, in squares of its scale.
[[gnu::always_inline]] inline void add_errors(const QuantizeColumnsF32Params& p,
                                              const Limits& limits,
                                              const __m512 (&per_unit)[kVectors],
                                              __m512 (&error)[kVectors]) {
  for (int64_t r = 0; r < p.rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const __m512 x = _mm512_load_ps(p.x + r * kQuantizedColumns + v * kLanes);
      const __m512 q = rounded(_mm512_mul_ps(x, per_unit[v]), limits);
      const __m512 lost = _mm512_fnmadd_ps(x, per_unit[v], q);
      error[v] = _mm512_fmadd_ps(lost, lost, error[v]);
    }
  }
}

[[gnu::always_inline]] inline void choose_scales(const QuantizeColumnsF32Params& p,
                                                 const Limits& limits, __m512 (&best)[kVectors]) {
  const __m512 least_scale = _mm512_set1_ps(p.least_scale);
  const __m512 one = _mm512_set1_ps(1.0f);
  __m512 full[kVectors], least_error[kVectors];
  find_full_scales(p, limits, full);
  for (int i = 0; i < p.candidates; ++i) {
    const __m512 share = _mm512_set1_ps(p.shares[i]);
    const __m512 weight = _mm512_set1_ps(p.shares[i] * p.shares[i]);
    __m512 scale[kVectors], per_unit[kVectors], error[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      scale[v] = _mm512_max_ps(_mm512_mul_ps(full[v], share), least_scale);
      per_unit[v] = _mm512_div_ps(one, scale[v]);
      error[v] = _mm512_setzero_ps();
    }
    if (p.candidates > 1) add_errors(p, limits, per_unit, error);
    for (int v = 0; v < kVectors; ++v) {
      const __m512 weighed = _mm512_mul_ps(error[v], weight);
      if (i == 0) {
        best[v] = scale[v];
        least_error[v] = weighed;
        continue;
      }
      const __mmask16 better = _mm512_cmp_ps_mask(weighed, least_error[v], _CMP_LT_OQ);
      least_error[v] = _mm512_mask_mov_ps(least_error[v], better, weighed);
      best[v] = _mm512_mask_mov_ps(best[v], better, scale[v]);
    }
  }
}

[[gnu::always_inline]] inline void store_row(const __m512 (&q)[kVectors], int8_t* to) {
  for (int v = 0; v < kVectors; ++v) {
    const __m128i bytes = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(q[v]));
    _mm_store_si128(reinterpret_cast<__m128i*>(to + v * kLanes), bytes);
  }
}

}  // namespace

void quantize_columns_f32_avx512(const QuantizeColumnsF32Params& p) noexcept {
  const Limits limits = {_mm512_set1_ps(p.low), _mm512_set1_ps(p.high), _mm512_set1_ps(kRound)};
  __m512 scale[kVectors], signal[kVectors], noise[kVectors];
  choose_scales(p, limits, scale);
  for (int v = 0; v < kVectors; ++v) signal[v] = noise[v] = _mm512_setzero_ps();
  for (int64_t r = 0; r < p.rows; ++r) {
    __m512 q[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const __m512 x = _mm512_load_ps(p.x + r * kQuantizedColumns + v * kLanes);
      const __m512 t = _mm512_div_ps(x, scale[v]);
      q[v] = rounded(t, limits);
      const __m512 lost = _mm512_sub_ps(q[v], t);
      signal[v] = _mm512_fmadd_ps(t, t, signal[v]);
      noise[v] = _mm512_fmadd_ps(lost, lost, noise[v]);
    }
    store_row(q, p.q + r * kQuantizedColumns);
  }
  for (int v = 0; v < kVectors; ++v) {
    _mm512_storeu_ps(p.scale + v * kLanes, scale[v]);
    _mm512_storeu_ps(p.signal + v * kLanes, signal[v]);
    _mm512_storeu_ps(p.noise + v * kLanes, noise[v]);
  }
}

}  // namespace dwindle::kernels
#endif
