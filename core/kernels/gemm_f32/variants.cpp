#include "core/kernels/gemm_f32/gemm_f32.h"

namespace dwindle::kernels {

void gemm_f32_scalar(const GemmF32Params&) noexcept;
void gemm_f32_avx2(const GemmF32Params&) noexcept;
void gemm_f32_avx512(const GemmF32Params&) noexcept;

std::span<const Variant<GemmF32Fn>> gemm_f32_variants() {
  static constexpr Variant<GemmF32Fn> kVariants[] = {
#if defined(__x86_64__)
    {"avx512", Isa::kAvx512, gemm_f32_avx512},
    {"avx2", Isa::kAvx2, gemm_f32_avx2},
#endif
    {"scalar", Isa::kScalar, gemm_f32_scalar},
  };
  return kVariants;
}

}  // namespace dwindle::kernels
