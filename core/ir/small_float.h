// Floating-point numbers of 8 bits and fewer, as OCP's "8-bit Floating Point Specification" and
// "Microscaling Formats (MX) Specification" define them, and ONNX's rules for rounding to them.
#pragma once

#include <cstdint>
#include <span>

#include "core/ir/tensor.h"

namespace dwindle {

// Sign, exponent, mantissa, from the highest bit.
struct SmallFloat {
  int exponent_bits, mantissa_bits, bias;
  bool has_infinity;     // an exponent of all ones is infinity or NaN
  bool nan_at_all_ones;  // all bits but the sign set is NaN
  bool fnuz;             // no negative zero: its pattern is NaN
};

// Null where `dtype` is none of float8 (but E8M0, which has only an exponent), float6 and float4.
const SmallFloat* small_float(DType dtype);

// How numbers between two powers of two become float8 E8M0.
enum class PowerRounding { kUp, kDown, kNearest };

struct SmallFloatRounding {
  // What is too large becomes the greatest finite number; otherwise infinity or NaN, where the
  // format has them.
  bool saturate = true;
  PowerRounding power = PowerRounding::kUp;
};

// Both want a dtype of float8 (E8M0 too), float6 or float4. Encoding rounds to nearest even.
float decode_small_float(DType dtype, int code);
int encode_small_float(DType dtype, float value, SmallFloatRounding rounding = {});

// The values as a tensor of one of these dtypes, packed.
Tensor small_float_tensor(std::span<const float> values, Dims shape, DType dtype,
                          SmallFloatRounding rounding = {});

}  // namespace dwindle
