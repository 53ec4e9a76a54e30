#include "core/kernels/fake_quant_f32/fake_quant_f32.h"

#if defined(__AVX512F__)
#include <immintrin.h>

namespace dwindle::kernels {

void fake_quant_f32_avx512(const FakeQuantF32& p) noexcept {
  constexpr int64_t kLanes = 16;
  const __m512 scale = _mm512_set1_ps(p.scale), round = _mm512_set1_ps(12582912.0f);
  const __m512 low = _mm512_set1_ps(p.low), high = _mm512_set1_ps(p.high);
  for (int64_t i = 0; i < p.count; i += kLanes) {
    const int64_t left = p.count - i;
    const auto mask =
        left < kLanes ? static_cast<__mmask16>((1u << left) - 1) : static_cast<__mmask16>(0xffff);
    // Both return their second operand where the first is not greater (less), also for NaN.
    __m512 q = _mm512_div_ps(_mm512_maskz_loadu_ps(mask, p.x + i), scale);
    q = _mm512_min_ps(_mm512_max_ps(q, low), high);
    q = _mm512_sub_ps(_mm512_add_ps(q, round), round);
    _mm512_mask_storeu_ps(p.y + i, mask, _mm512_mul_ps(q, scale));
  }
}

}  // namespace dwindle::kernels
#endif
