// Float32 values as they come back from integers: quantized and dequantized in one go.
//
//   y = round_half_even(clamp(x / scale, low, high)) * scale
//
// with low and high the least and greatest integer less the zero point. That is to the bit what
// QuantizeLinear and DequantizeLinear make (see core/quant/params.h): clamping before the rounding
// or behind it is the same where the bounds are whole. NaN becomes low * scale.
#pragma once

#include <cstdint>
#include <span>

#include "core/kernels/cpu.h"

namespace dwindle::kernels {

struct FakeQuantF32 {
  const float* x;
  int64_t count;
  float scale;
  float low, high;  // whole numbers of magnitude below 2^22
  float* y;         // may be x
};

using FakeQuantF32Fn = void (*)(const FakeQuantF32&) noexcept;

// Best first.
std::span<const Variant<FakeQuantF32Fn>> fake_quant_f32_variants();

// On several threads, with the variant that this CPU and DWINDLE_ISA pick.
void fake_quant_f32(const FakeQuantF32& args);

}  // namespace dwindle::kernels
