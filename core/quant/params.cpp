#include "core/quant/params.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "core/support/error.h"

namespace dwindle {
namespace {

// Smaller scales make products of two scales (those of int32 biases) denormal.
constexpr float kLeastScale = 1e-18f;

float usable_scale(float scale) { return std::max(scale, kLeastScale); }

}  // namespace

IntegerRange integer_range(DType dtype, bool narrow) {
  const int bits = dtype_bits(dtype);
  if (!is_integer(dtype) || bits > 16) {
    throw Unsupported("quantizing to " + std::string(dtype_name(dtype)));
  }
  if (!is_signed_integer(dtype)) return {0, (1 << bits) - 1};
  const int32_t half = 1 << (bits - 1);
  return {narrow ? 1 - half : -half, half - 1};
}

QuantParams choose_params(float low, float high, DType dtype, bool symmetric) {
  if (!std::isfinite(low) || !std::isfinite(high)) {
    throw BadData("the range [" + std::to_string(low) + ", " + std::to_string(high) +
                  "] is not finite");
  }
  const IntegerRange range = integer_range(dtype, symmetric);
  low = std::min(low, 0.0f);
  high = std::max(high, 0.0f);
  // Any scale would hold zeros, but biases are rounded to products of it.
  if (low == high) high = 1;
  if (symmetric) {
    const float most = std::max(-low, high);
    const int32_t middle = is_signed_integer(dtype) ? 0 : (range.max + 1) / 2;
    return {usable_scale(most / static_cast<float>(range.max - middle)), middle};
  }
  // In double: the difference of two large floats may overflow.
  const double steps = range.max - range.min;
  const float scale = usable_scale(
      static_cast<float>((static_cast<double>(high) - static_cast<double>(low)) / steps));
  const double zero = range.min - static_cast<double>(low) / scale;
  const double clamped =
      std::clamp(std::nearbyint(zero), static_cast<double>(range.min), double(range.max));
  return {scale, static_cast<int32_t>(clamped)};
}

int32_t quantize(float x, QuantParams params, IntegerRange range) {
  const float q = std::nearbyint(x / params.scale) + static_cast<float>(params.zero_point);
  return static_cast<int32_t>(
      std::clamp(q, static_cast<float>(range.min), static_cast<float>(range.max)));
}

Tensor integer_tensor(const std::vector<int32_t>& values, Dims shape, DType dtype) {
  const int bits = dtype_bits(dtype);
  Tensor tensor = Tensor::zeros(dtype, std::move(shape));
  std::byte* out = tensor.mutable_bytes();
  for (size_t i = 0; i < values.size(); ++i) {
    const auto code = static_cast<uint32_t>(values[i]);
    if (bits >= 8) {
      for (int b = 0; b < bits / 8; ++b) *out++ = static_cast<std::byte>(code >> (8 * b));
    } else {
      const size_t bit = i * static_cast<size_t>(bits);
      const uint32_t mask = (1u << bits) - 1;
      out[bit / 8] |= static_cast<std::byte>((code & mask) << (bit % 8));
    }
  }
  return tensor;
}

}  // namespace dwindle
