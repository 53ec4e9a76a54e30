// The two bins where most values may be expected are counted by comparing; the bins of the others
// are packed together and counted one by one.
#include "core/kernels/count_bins_f32/count_bins_f32.h"

#if defined(__AVX512F__)
#include <immintrin.h>

namespace dwindle::kernels {

void count_bins_f32_avx512(const CountBinsF32& p) noexcept {
  constexpr int64_t kLanes = 16;
  constexpr int kBlock = 256;
  const __m512 inverse = _mm512_set1_ps(p.inverse);
  const __m512i zero = _mm512_set1_epi32(p.zero), often = _mm512_set1_epi32(p.often);
  uint32_t zeros = 0, others = 0;
  int32_t bins[kBlock + kLanes];
  uint32_t* second = p.counts + p.bins;
  for (int64_t first = 0; first < p.count; first += kBlock) {
    const int64_t end = p.count - first < kBlock ? p.count : first + kBlock;
    int found = 0;
    for (int64_t i = first; i < end; i += kLanes) {
      const int64_t left = end - i;
      const auto valid =
          left < kLanes ? static_cast<__mmask16>((1u << left) - 1) : static_cast<__mmask16>(0xffff);
      const __m512 x = _mm512_mul_ps(_mm512_maskz_loadu_ps(valid, p.values + i), inverse);
      const __m512i bin = _mm512_add_epi32(
          _mm512_cvt_roundps_epi32(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC), zero);
      const __mmask16 is_zero = _mm512_mask_cmpeq_epi32_mask(valid, bin, zero);
      const auto rest = static_cast<__mmask16>(valid & ~is_zero);
      const __mmask16 is_often = _mm512_mask_cmpeq_epi32_mask(rest, bin, often);
      const auto single = static_cast<__mmask16>(rest & ~is_often);
      zeros += static_cast<uint32_t>(__builtin_popcount(is_zero));
      others += static_cast<uint32_t>(__builtin_popcount(is_often));
      _mm512_storeu_si512(bins + found, _mm512_maskz_compress_epi32(single, bin));
      found += __builtin_popcount(single);
    }
    int i = 0;
    for (; i + 2 <= found; i += 2) {
      ++p.counts[bins[i]];
      ++second[bins[i + 1]];
    }
    if (i < found) ++p.counts[bins[i]];
  }
  p.counts[p.zero] += zeros;
  p.counts[p.often] += others;
}

}  // namespace dwindle::kernels
#endif
