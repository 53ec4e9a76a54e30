// The definition that every other variant repeats bit for bit.
#include "core/kernels/unary_f32/loops.h"

namespace dwindle::kernels {

void unary_f32_scalar(const UnaryF32& p) noexcept { run(p); }

}  // namespace dwindle::kernels
