#include "core/kernels/quantize_columns_f32/quantize_columns_f32.h"

namespace dwindle::kernels {

void quantize_columns_f32_scalar(const QuantizeColumnsF32Params&) noexcept;
void quantize_columns_f32_avx2(const QuantizeColumnsF32Params&) noexcept;
void quantize_columns_f32_avx512(const QuantizeColumnsF32Params&) noexcept;

std::span<const Variant<QuantizeColumnsF32Fn>> quantize_columns_f32_variants() {
  static constexpr Variant<QuantizeColumnsF32Fn> kVariants[] = {
#if defined(__x86_64__)
    {"avx512", Isa::kAvx512, quantize_columns_f32_avx512},
    {"avx2", Isa::kAvx2, quantize_columns_f32_avx2},
#endif
    {"scalar", Isa::kScalar, quantize_columns_f32_scalar},
  };
  return kVariants;
}

}  // namespace dwindle::kernels
