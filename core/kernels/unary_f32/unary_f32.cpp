#include "core/kernels/unary_f32/unary_f32.h"

namespace dwindle::kernels {

void unary_f32(const UnaryF32& args) {
  static const UnaryF32Fn best = pick(unary_f32_variants());
  best(args);
}

}  // namespace dwindle::kernels
