#if defined(__AVX2__)
#include "core/kernels/unary_f32/loops.h"

namespace dwindle::kernels {

void unary_f32_avx2(const UnaryF32& p) noexcept { run(p); }

}  // namespace dwindle::kernels
#endif
