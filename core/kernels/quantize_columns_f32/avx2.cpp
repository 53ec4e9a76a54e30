// Four registers hold one row: the candidates' errors of all columns grow side by side.
#include "core/kernels/quantize_columns_f32/quantize_columns_f32.h"

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

namespace dwindle::kernels {
namespace {

constexpr int kLanes = 8;
constexpr int kVectors = kQuantizedColumns / kLanes;
constexpr float kRound = 12582912.0f;  // see scalar.cpp

struct Limits {
  __m256 low, high, round;
};

// As the scalar comparisons, a NaN becomes `low`.
[[gnu::always_inline]] inline __m256 rounded(__m256 t, const Limits& limits) {
  t = _mm256_min_ps(_mm256_max_ps(t, limits.low), limits.high);
  return _mm256_sub_ps(_mm256_add_ps(t, limits.round), limits.round);
}

[[gnu::always_inline]] inline void find_full_scales(const QuantizeColumnsF32Params& p,
                                                    const Limits& limits,
                                                    __m256 (&full)[kVectors]) {
  const __m256 zero = _mm256_setzero_ps();
  __m256 least[kVectors], greatest[kVectors];
  for (int v = 0; v < kVectors; ++v) least[v] = greatest[v] = zero;
  for (int64_t r = 0; r < p.rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const __m256 x = _mm256_load_ps(p.x + r * kQuantizedColumns + v * kLanes);
      least[v] = _mm256_min_ps(x, least[v]);
      greatest[v] = _mm256_max_ps(x, greatest[v]);
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    const __m256 both =
        _mm256_max_ps(_mm256_div_ps(least[v], limits.low), _mm256_div_ps(greatest[v], limits.high));
    full[v] = _mm256_blendv_ps(_mm256_set1_ps(1.0f), both, _mm256_cmp_ps(both, zero, _CMP_GT_OQ));
  }
}

// The errors of one candidate, in squares of its scale.
[[gnu::always_inline]] inline void add_errors(const QuantizeColumnsF32Params& p,
                                              const Limits& limits,
                                              const __m256 (&per_unit)[kVectors],
                                              __m256 (&error)[kVectors]) {
  for (int64_t r = 0; r < p.rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const __m256 x = _mm256_load_ps(p.x + r * kQuantizedColumns + v * kLanes);
      const __m256 q = rounded(_mm256_mul_ps(x, per_unit[v]), limits);
      const __m256 lost = _mm256_fnmadd_ps(x, per_unit[v], q);
      error[v] = _mm256_fmadd_ps(lost, lost, error[v]);
    }
  }
}

[[gnu::always_inline]] inline void choose_scales(const QuantizeColumnsF32Params& p,
                                                 const Limits& limits, __m256 (&best)[kVectors]) {
  const __m256 least_scale = _mm256_set1_ps(p.least_scale);
  const __m256 one = _mm256_set1_ps(1.0f);
  __m256 full[kVectors], least_error[kVectors];
  find_full_scales(p, limits, full);
  for (int i = 0; i < p.candidates; ++i) {
    const __m256 share = _mm256_set1_ps(p.shares[i]);
    const __m256 weight = _mm256_set1_ps(p.shares[i] * p.shares[i]);
    __m256 scale[kVectors], per_unit[kVectors], error[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      scale[v] = _mm256_max_ps(_mm256_mul_ps(full[v], share), least_scale);
      per_unit[v] = _mm256_div_ps(one, scale[v]);
      error[v] = _mm256_setzero_ps();
    }
    if (p.candidates > 1) add_errors(p, limits, per_unit, error);
    for (int v = 0; v < kVectors; ++v) {
      const __m256 weighed = _mm256_mul_ps(error[v], weight);
      if (i == 0) {
        best[v] = scale[v];
        least_error[v] = weighed;
        continue;
      }
      const __m256 better = _mm256_cmp_ps(weighed, least_error[v], _CMP_LT_OQ);
      least_error[v] = _mm256_blendv_ps(least_error[v], weighed, better);
      best[v] = _mm256_blendv_ps(best[v], scale[v], better);
    }
  }
}

[[gnu::always_inline]] inline void store_row(const __m256 (&q)[kVectors], int8_t* to) {
  const __m256i low = _mm256_packs_epi32(_mm256_cvtps_epi32(q[0]), _mm256_cvtps_epi32(q[1]));
  const __m256i high = _mm256_packs_epi32(_mm256_cvtps_epi32(q[2]), _mm256_cvtps_epi32(q[3]));
  // Packing works within halves: groups of four lie in the order 0, 2, 4, 6, 1, 3, 5, 7.
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
  _mm256_store_si256(reinterpret_cast<__m256i*>(to), bytes);
}

}  // namespace

void quantize_columns_f32_avx2(const QuantizeColumnsF32Params& p) noexcept {
  const Limits limits = {_mm256_set1_ps(p.low), _mm256_set1_ps(p.high), _mm256_set1_ps(kRound)};
  __m256 scale[kVectors], signal[kVectors], noise[kVectors];
  choose_scales(p, limits, scale);
  for (int v = 0; v < kVectors; ++v) signal[v] = noise[v] = _mm256_setzero_ps();
  for (int64_t r = 0; r < p.rows; ++r) {
    __m256 q[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const __m256 x = _mm256_load_ps(p.x + r * kQuantizedColumns + v * kLanes);
      const __m256 t = _mm256_div_ps(x, scale[v]);
      q[v] = rounded(t, limits);
      const __m256 lost = _mm256_sub_ps(q[v], t);
      signal[v] = _mm256_fmadd_ps(t, t, signal[v]);
      noise[v] = _mm256_fmadd_ps(lost, lost, noise[v]);
    }
    store_row(q, p.q + r * kQuantizedColumns);
  }
  for (int v = 0; v < kVectors; ++v) {
    _mm256_storeu_ps(p.scale + v * kLanes, scale[v]);
    _mm256_storeu_ps(p.signal + v * kLanes, signal[v]);
    _mm256_storeu_ps(p.noise + v * kLanes, noise[v]);
  }
}

}  // namespace dwindle::kernels
#endif
