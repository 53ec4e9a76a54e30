// The definition that every other variant repeats bit for bit.
#include "core/kernels/fake_quant_f32/fake_quant_f32.h"

namespace dwindle::kernels {

// Adding and subtracting 1.5 · 2^23 rounds to even, in vector registers too, and makes -0 a +0.
void fake_quant_f32_scalar(const FakeQuantF32& p) noexcept {
  constexpr float kRound = 12582912.0f;
  for (int64_t i = 0; i < p.count; ++i) {
    float q = p.x[i] / p.scale;
    q = q > p.low ? q : p.low;
    q = q < p.high ? q : p.high;
    p.y[i] = ((q + kRound) - kRound) * p.scale;
  }
}

}  // namespace dwindle::kernels
