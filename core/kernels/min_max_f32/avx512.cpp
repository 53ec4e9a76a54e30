// Four vectors at a time. What is not finite has all bits of its exponent set, so the greatest
// magnitude, taken as an integer, tells of it.
#include "core/kernels/min_max_f32/min_max_f32.h"

#if defined(__AVX512F__)
#include <immintrin.h>

namespace dwindle::kernels {

MinMaxF32 min_max_f32_avx512(const float* values, int64_t count) noexcept {
  constexpr int64_t kLanes = 16;
  constexpr int kVectors = 4;
  const __m512 infinity = _mm512_set1_ps(__builtin_inff());
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  __m512 low[kVectors], high[kVectors];
  __m512i largest[kVectors];
  for (int v = 0; v < kVectors; ++v) {
    low[v] = infinity;
    high[v] = _mm512_sub_ps(_mm512_setzero_ps(), infinity);
    largest[v] = _mm512_setzero_si512();
  }
  int64_t i = 0;
  for (; i + kVectors * kLanes <= count; i += kVectors * kLanes) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const __m512 x = _mm512_loadu_ps(values + i + v * kLanes);
      low[v] = _mm512_min_ps(low[v], x);
      high[v] = _mm512_max_ps(high[v], x);
      largest[v] =
          _mm512_max_epu32(largest[v], _mm512_and_si512(_mm512_castps_si512(x), magnitude));
    }
  }
  for (; i < count; i += kLanes) {
    const int64_t left = count - i;
    const auto mask =
        left < kLanes ? static_cast<__mmask16>((1u << left) - 1) : static_cast<__mmask16>(0xffff);
    const __m512 x = _mm512_maskz_loadu_ps(mask, values + i);
    low[0] = _mm512_mask_min_ps(low[0], mask, low[0], x);
    high[0] = _mm512_mask_max_ps(high[0], mask, high[0], x);
    largest[0] = _mm512_max_epu32(largest[0], _mm512_and_si512(_mm512_castps_si512(x), magnitude));
  }
  for (int v = 1; v < kVectors; ++v) {
    low[0] = _mm512_min_ps(low[0], low[v]);
    high[0] = _mm512_max_ps(high[0], high[v]);
    largest[0] = _mm512_max_epu32(largest[0], largest[v]);
  }
  return {_mm512_reduce_min_ps(low[0]) + 0.0f, _mm512_reduce_max_ps(high[0]) + 0.0f,
          _mm512_reduce_max_epu32(largest[0]) < 0x7f800000u};
}

}  // namespace dwindle::kernels
#endif
