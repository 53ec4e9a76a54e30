// The bins of a block are computed in vectors; those that hold the zeros alone are counted at once.
#include "core/kernels/count_bins_f32/count_bins_f32.h"

#if defined(__AVX2__)
#include <immintrin.h>

namespace dwindle::kernels {

void count_bins_f32_avx2(const CountBinsF32& p) noexcept {
  constexpr int64_t kLanes = 8;
  const __m256 inverse = _mm256_set1_ps(p.inverse);
  const __m256i zero = _mm256_set1_epi32(p.zero);
  uint32_t zeros = 0;
  alignas(32) int32_t bins[kLanes];
  uint32_t* second = p.counts + p.bins;
  int64_t i = 0;
  for (; i + kLanes <= p.count; i += kLanes) {
    const __m256 x = _mm256_floor_ps(_mm256_mul_ps(_mm256_loadu_ps(p.values + i), inverse));
    const __m256i bin = _mm256_add_epi32(_mm256_cvtps_epi32(x), zero);
    if (_mm256_movemask_epi8(_mm256_cmpeq_epi32(bin, zero)) == -1) {
      zeros += kLanes;
      continue;
    }
    _mm256_store_si256(reinterpret_cast<__m256i*>(bins), bin);
    for (int64_t lane = 0; lane < kLanes; lane += 2) {
      ++p.counts[bins[lane]];
      ++second[bins[lane + 1]];
    }
  }
  for (; i < p.count; ++i) {
    const float x = p.values[i] * p.inverse;
    const auto towards_zero = static_cast<int32_t>(x);
    ++p.counts[towards_zero - (x < static_cast<float>(towards_zero) ? 1 : 0) + p.zero];
  }
  p.counts[p.zero] += zeros;
}

}  // namespace dwindle::kernels
#endif
