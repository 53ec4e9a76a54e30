// Scale and zero point, and the arithmetic that they stand for: the one definition of quantized
// numbers. Source: ONNX's QuantizeLinear and DequantizeLinear.
//
//   q = saturate(round_half_even(x / scale) + zero_point)        x ≈ scale · (q − zero_point)
#pragma once

#include <cstdint>
#include <vector>

#include "core/ir/tensor.h"

namespace dwindle {

// The integers that a quantized dtype holds.
struct IntegerRange {
  int32_t min, max;
};

// Raises Unsupported where `dtype` is no integer of 16 bits or less. `narrow` leaves out the least
// value of a signed dtype, which makes the range symmetric: [-127, 127] for int8.
IntegerRange integer_range(DType dtype, bool narrow = false);

struct QuantParams {
  float scale = 1;
  int32_t zero_point = 0;
};

// Parameters that let `dtype` represent [low, high], widened to hold 0 exactly. `symmetric` puts
// the zero point at 0 (signed) or at the middle (unsigned). An empty range is taken for
// [0, 1]; a denormal one gets a scale that is still a normal number. Raises BadData where an end is
// NaN or infinite.
QuantParams choose_params(float low, float high, DType dtype, bool symmetric);

int32_t quantize(float x, QuantParams params, IntegerRange range);
inline float dequantize(int32_t q, QuantParams params) {
  return static_cast<float>(q - params.zero_point) * params.scale;
}

// A rank-1 tensor (rank 0 for one value without an axis) of integers of a dtype up to 32 bits,
// packed where it has less than 8.
Tensor integer_tensor(const std::vector<int32_t>& values, Dims shape, DType dtype);

}  // namespace dwindle
