#include "core/kernels/depthwise_f32/depthwise_f32.h"

namespace dwindle::kernels {

void depthwise_f32_scalar(const DepthwiseF32Params&) noexcept;
void depthwise_f32_avx2(const DepthwiseF32Params&) noexcept;
void depthwise_f32_avx512(const DepthwiseF32Params&) noexcept;

std::span<const Variant<DepthwiseF32Fn>> depthwise_f32_variants() {
  static constexpr Variant<DepthwiseF32Fn> kVariants[] = {
#if defined(__x86_64__)
    {"avx512", Isa::kAvx512, depthwise_f32_avx512},
    {"avx2", Isa::kAvx2, depthwise_f32_avx2},
#endif
    {"scalar", Isa::kScalar, depthwise_f32_scalar},
  };
  return kVariants;
}

}  // namespace dwindle::kernels
