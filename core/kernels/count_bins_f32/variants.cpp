#include "core/kernels/count_bins_f32/count_bins_f32.h"

namespace dwindle::kernels {

void count_bins_f32_scalar(const CountBinsF32&) noexcept;
void count_bins_f32_avx2(const CountBinsF32&) noexcept;
void count_bins_f32_avx512(const CountBinsF32&) noexcept;

std::span<const Variant<CountBinsF32Fn>> count_bins_f32_variants() {
  static constexpr Variant<CountBinsF32Fn> kVariants[] = {
#if defined(__x86_64__)
    {"avx512", Isa::kAvx512, count_bins_f32_avx512},
    {"avx2", Isa::kAvx2, count_bins_f32_avx2},
#endif
    {"scalar", Isa::kScalar, count_bins_f32_scalar},
  };
  return kVariants;
}

void count_bins_f32(const CountBinsF32& args) {
  static const CountBinsF32Fn best = pick(count_bins_f32_variants());
  best(args);
}

}  // namespace dwindle::kernels
