// Four vectors at a time. What is not finite has all bits of its exponent set, so the greatest
// magnitude, taken as an integer, tells of it.
#include "core/kernels/min_max_f32/min_max_f32.h"

#if defined(__AVX2__)
#include <immintrin.h>

namespace dwindle::kernels {

MinMaxF32 min_max_f32_avx2(const float* values, int64_t count) noexcept {
  constexpr int64_t kLanes = 8;
  constexpr int kVectors = 4;
  const __m256 infinity = _mm256_set1_ps(__builtin_inff());
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  __m256 low[kVectors], high[kVectors];
  __m256i largest[kVectors];
  for (int v = 0; v < kVectors; ++v) {
    low[v] = infinity;
    high[v] = _mm256_sub_ps(_mm256_setzero_ps(), infinity);
    largest[v] = _mm256_setzero_si256();
  }
  int64_t i = 0;
  for (; i + kVectors * kLanes <= count; i += kVectors * kLanes) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const __m256 x = _mm256_loadu_ps(values + i + v * kLanes);
      low[v] = _mm256_min_ps(low[v], x);
      high[v] = _mm256_max_ps(high[v], x);
      largest[v] =
          _mm256_max_epu32(largest[v], _mm256_and_si256(_mm256_castps_si256(x), magnitude));
    }
  }
  for (int v = 1; v < kVectors; ++v) {
    low[0] = _mm256_min_ps(low[0], low[v]);
    high[0] = _mm256_max_ps(high[0], high[v]);
    largest[0] = _mm256_max_epu32(largest[0], largest[v]);
  }
  float lows[kLanes], highs[kLanes];
  uint32_t bits[kLanes];
  _mm256_storeu_ps(lows, low[0]);
  _mm256_storeu_ps(highs, high[0]);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(bits), largest[0]);
  MinMaxF32 all{lows[0], highs[0], bits[0] < 0x7f800000u};
  auto take = [&all](float least, float most, bool finite) {
    all.min = least < all.min ? least : all.min;
    all.max = most > all.max ? most : all.max;
    all.finite = all.finite && finite;
  };
  for (int lane = 1; lane < kLanes; ++lane) {
    take(lows[lane], highs[lane], bits[lane] < 0x7f800000u);
  }
  for (; i < count; ++i) take(values[i], values[i], values[i] - values[i] == 0);
  return {all.min + 0.0f, all.max + 0.0f, all.finite};
}

}  // namespace dwindle::kernels
#endif
