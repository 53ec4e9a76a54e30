#include "core/ir/small_float.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace dwindle {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

int greatest_finite(const SmallFloat& format) {
  const int all_ones = (1 << (format.exponent_bits + format.mantissa_bits)) - 1;
  if (format.has_infinity) return all_ones - (1 << format.mantissa_bits);
  return format.nan_at_all_ones ? all_ones - 1 : all_ones;
}

// The code for NaN. Formats without one have a zero of the other sign for it, as ml_dtypes and the
// tests of ONNX have it.
int nan_code(const SmallFloat& format, int sign) {
  const int all_ones = (1 << (format.exponent_bits + format.mantissa_bits)) - 1;
  if (format.fnuz) return all_ones + 1;
  if (format.has_infinity)
    return sign | (greatest_finite(format) + 1) | 1 << (format.mantissa_bits - 1);
  if (!format.nan_at_all_ones) return sign ^ (all_ones + 1);
  return sign | all_ones;
}

int encode(const SmallFloat& format, float value, bool saturate) {
  const int sign = std::signbit(value) ? 1 << (format.exponent_bits + format.mantissa_bits) : 0;
  const float magnitude = std::fabs(value);
  const bool has_nan = format.has_infinity || format.nan_at_all_ones || format.fnuz;
  if (std::isnan(value)) return nan_code(format, sign);
  const int most = greatest_finite(format);
  int code = most + 1;
  if (magnitude < std::ldexp(1.0f, (1 << format.exponent_bits) - format.bias + 1)) {
    const int least = 1 - format.bias;  // exponent of subnormal numbers
    const int exponent = magnitude > 0 ? std::max(std::ilogb(magnitude), least) : least;
    // In units of the last place: a power of two away, so exact until it is rounded to even. A
    // mantissa that rounds up to the next power carries into the exponent.
    const float units = std::nearbyint(std::ldexp(magnitude, format.mantissa_bits - exponent));
    code = ((exponent - least) << format.mantissa_bits) + static_cast<int>(units);
  }
  if (code > most) {
    if (saturate || !has_nan) return sign | most;
    return format.has_infinity ? sign | (most + 1) : nan_code(format, sign);
  }
  return format.fnuz && code == 0 ? 0 : sign | code;
}

// A power of two, biased as float's own exponent; 255 is NaN.
int encode_power(float value, SmallFloatRounding rounding) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t mantissa = bits & 0x7fffffu;
  const auto exponent = static_cast<int>((bits >> 23) & 0xffu);
  if (exponent == 0xff) return 0xff;
  // A subnormal float's unit is that of exponent 1, and 2^-127 (code 0) is half of that: exact
  // itself, and E8M0_MIN for all below it by the table of ONNX's Cast.
  const bool above_least = mantissa > 0x400000u;
  const bool above_power = exponent > 0 ? mantissa > 0 : above_least;
  const bool above_half = exponent > 0 ? mantissa >= 0x400000u : above_least;
  const bool up = rounding.power == PowerRounding::kUp        ? above_power
                  : rounding.power == PowerRounding::kNearest ? above_half
                                                              : false;
  if (up && exponent == 0xfe && rounding.saturate) return 0xfe;
  return exponent + (up ? 1 : 0);
}

}  // namespace

const SmallFloat* small_float(DType dtype) {
  static constexpr SmallFloat kE4M3FN{4, 3, 7, false, true, false};
  static constexpr SmallFloat kE4M3FNUZ{4, 3, 8, false, false, true};
  static constexpr SmallFloat kE5M2{5, 2, 15, true, false, false};
  static constexpr SmallFloat kE5M2FNUZ{5, 2, 16, false, false, true};
  static constexpr SmallFloat kE2M1{2, 1, 1, false, false, false};
  static constexpr SmallFloat kE2M3{2, 3, 1, false, false, false};
  static constexpr SmallFloat kE3M2{3, 2, 3, false, false, false};
  switch (dtype) {
    case DType::kFloat8E4M3FN:
      return &kE4M3FN;
    case DType::kFloat8E4M3FNUZ:
      return &kE4M3FNUZ;
    case DType::kFloat8E5M2:
      return &kE5M2;
    case DType::kFloat8E5M2FNUZ:
      return &kE5M2FNUZ;
    case DType::kFloat4E2M1:
      return &kE2M1;
    case DType::kFloat6E2M3:
      return &kE2M3;
    case DType::kFloat6E3M2:
      return &kE3M2;
    default:
      return nullptr;
  }
}

float decode_small_float(DType dtype, int code) {
  if (dtype == DType::kFloat8E8M0) return code == 255 ? kNan : std::ldexp(1.0f, code - 127);
  const SmallFloat& format = *small_float(dtype);
  const int width = 1 + format.exponent_bits + format.mantissa_bits;
  const bool negative = (code >> (width - 1)) & 1;
  const int magnitude = code & ((1 << (width - 1)) - 1);
  const int exponent = magnitude >> format.mantissa_bits;
  const int mantissa = magnitude & ((1 << format.mantissa_bits) - 1);
  const int top = (1 << format.exponent_bits) - 1;
  if (format.fnuz && negative && magnitude == 0) return kNan;
  if (format.nan_at_all_ones && magnitude == (1 << (width - 1)) - 1) return kNan;
  float value;
  if (format.has_infinity && exponent == top) {
    value = mantissa == 0 ? std::numeric_limits<float>::infinity() : kNan;
  } else if (exponent == 0) {
    value = std::ldexp(static_cast<float>(mantissa), 1 - format.bias - format.mantissa_bits);
  } else {
    value = std::ldexp(static_cast<float>(mantissa + (1 << format.mantissa_bits)),
                       exponent - format.bias - format.mantissa_bits);
  }
  return negative ? -value : value;
}

int encode_small_float(DType dtype, float value, SmallFloatRounding rounding) {
  if (dtype == DType::kFloat8E8M0) return encode_power(value, rounding);
  return encode(*small_float(dtype), value, rounding.saturate);
}

Tensor small_float_tensor(std::span<const float> values, Dims shape, DType dtype,
                          SmallFloatRounding rounding) {
  Tensor tensor = Tensor::zeros(dtype, std::move(shape));
  std::byte* out = tensor.mutable_bytes();
  const auto bits = static_cast<size_t>(dtype_bits(dtype));
  for (size_t i = 0; i < values.size(); ++i) {
    const auto code = static_cast<unsigned>(encode_small_float(dtype, values[i], rounding));
    const size_t at = i * bits;
    out[at / 8] |= static_cast<std::byte>(code << (at % 8));
    if (at % 8 + bits > 8) out[at / 8 + 1] |= static_cast<std::byte>(code >> (8 - at % 8));
  }
  return tensor;
}

}  // namespace dwindle
