#include "core/kernels/fake_quant_f32/fake_quant_f32.h"

namespace dwindle::kernels {

void fake_quant_f32_scalar(const FakeQuantF32&) noexcept;
void fake_quant_f32_avx2(const FakeQuantF32&) noexcept;
void fake_quant_f32_avx512(const FakeQuantF32&) noexcept;

std::span<const Variant<FakeQuantF32Fn>> fake_quant_f32_variants() {
  static constexpr Variant<FakeQuantF32Fn> kVariants[] = {
#if defined(__x86_64__)
    {"avx512", Isa::kAvx512, fake_quant_f32_avx512},
    {"avx2", Isa::kAvx2, fake_quant_f32_avx2},
#endif
    {"scalar", Isa::kScalar, fake_quant_f32_scalar},
  };
  return kVariants;
}

}  // namespace dwindle::kernels
