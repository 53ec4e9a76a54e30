// A QuantizeLinear and the DequantizeLinear behind it as one kernel, which never makes the
// integers.
#pragma once

#include <optional>

#include "core/ops/op.h"
#include "core/quant/params.h"

namespace dwindle {

// Floats to integers and back, with one scale for the whole tensor.
struct RoundTrip {
  QuantParams params;
  IntegerRange range;
};

// What `dequantize`, which reads the output of `quantize`, makes of the input of `quantize`; none
// where they are no such pair, or where their parameters are more than one constant float scale and
// one zero point of at most 16 bits that both of them share.
std::optional<RoundTrip> round_trip_of(const Node& quantize, const Node& dequantize);

// The kernel of QuantizeLinear, with the output of the DequantizeLinear: to the bit what the two
// nodes make.
Kernel fake_quantize(const RoundTrip& round_trip);

// `x` (float) after the round trip.
Tensor fake_quantized(const Tensor& x, const RoundTrip& round_trip);

}  // namespace dwindle
