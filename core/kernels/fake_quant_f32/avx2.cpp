#include "core/kernels/fake_quant_f32/fake_quant_f32.h"

#if defined(__AVX2__)
#include <immintrin.h>

namespace dwindle::kernels {

void fake_quant_f32_avx2(const FakeQuantF32& p) noexcept {
  constexpr int64_t kLanes = 8;
  const __m256 scale = _mm256_set1_ps(p.scale), round = _mm256_set1_ps(12582912.0f);
  const __m256 low = _mm256_set1_ps(p.low), high = _mm256_set1_ps(p.high);
  // Both return their second operand where the first is not greater (less), also for NaN.
  auto rounded = [&](__m256 x) {
    __m256 q = _mm256_min_ps(_mm256_max_ps(_mm256_div_ps(x, scale), low), high);
    q = _mm256_sub_ps(_mm256_add_ps(q, round), round);
    return _mm256_mul_ps(q, scale);
  };
  int64_t i = 0;
  for (; i + kLanes <= p.count; i += kLanes) {
    _mm256_storeu_ps(p.y + i, rounded(_mm256_loadu_ps(p.x + i)));
  }
  for (; i < p.count; ++i) {
    p.y[i] = _mm256_cvtss_f32(rounded(_mm256_set1_ps(p.x[i])));
  }
}

}  // namespace dwindle::kernels
#endif
