#include "core/kernels/min_max_f32/min_max_f32.h"

namespace dwindle::kernels {

MinMaxF32 min_max_f32_scalar(const float*, int64_t) noexcept;
MinMaxF32 min_max_f32_avx2(const float*, int64_t) noexcept;
MinMaxF32 min_max_f32_avx512(const float*, int64_t) noexcept;

std::span<const Variant<MinMaxF32Fn>> min_max_f32_variants() {
  static constexpr Variant<MinMaxF32Fn> kVariants[] = {
#if defined(__x86_64__)
    {"avx512", Isa::kAvx512, min_max_f32_avx512},
    {"avx2", Isa::kAvx2, min_max_f32_avx2},
#endif
    {"scalar", Isa::kScalar, min_max_f32_scalar},
  };
  return kVariants;
}

MinMaxF32 min_max_f32(const float* values, int64_t count) {
  static const MinMaxF32Fn best = pick(min_max_f32_variants());
  return best(values, count);
}

}  // namespace dwindle::kernels
