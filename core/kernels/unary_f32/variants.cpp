#include "core/kernels/unary_f32/unary_f32.h"

namespace dwindle::kernels {

void unary_f32_scalar(const UnaryF32&) noexcept;
void unary_f32_avx2(const UnaryF32&) noexcept;
void unary_f32_avx512(const UnaryF32&) noexcept;

std::span<const Variant<UnaryF32Fn>> unary_f32_variants() {
  static constexpr Variant<UnaryF32Fn> kVariants[] = {
#if defined(__x86_64__)
    {"avx512", Isa::kAvx512, unary_f32_avx512},
    {"avx2", Isa::kAvx2, unary_f32_avx2},
#endif
    {"scalar", Isa::kScalar, unary_f32_scalar},
  };
  return kVariants;
}

}  // namespace dwindle::kernels
