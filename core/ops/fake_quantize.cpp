#include "core/ops/fake_quantize.h"

#include "core/kernels/fake_quant_f32/fake_quant_f32.h"
#include "core/ops/half.h"

namespace dwindle {
namespace {

const Tensor* single_constant(const Value* value) {
  const Tensor* tensor = value == nullptr ? nullptr : value->constant();
  return tensor != nullptr && tensor->size() == 1 ? tensor : nullptr;
}

bool plain(const Node& node) {
  return node.int_attribute("block_size", 0) == 0 && node.int_attribute("precision", 0) <= 1 &&
         node.int_attribute("output_dtype", 0) <= static_cast<int64_t>(DType::kFloat);
}

}  // namespace

std::optional<RoundTrip> round_trip_of(const Node& quantize, const Node& dequantize) {
  const bool pair = quantize.is("QuantizeLinear") && dequantize.is("DequantizeLinear");
  if (!pair || !plain(quantize) || !plain(dequantize)) return std::nullopt;
  const Tensor* scale = single_constant(quantize.input(1));
  const Tensor* same_scale = single_constant(dequantize.input(1));
  if (scale == nullptr || same_scale == nullptr || scale->dtype() != DType::kFloat ||
      same_scale->dtype() != DType::kFloat ||
      scale->data<float>()[0] != same_scale->data<float>()[0]) {
    return std::nullopt;
  }
  RoundTrip found{{scale->data<float>()[0], 0}, integer_range(DType::kUint8)};
  if (quantize.input(2) == nullptr && dequantize.input(2) == nullptr) return found;
  const Tensor* zero = single_constant(quantize.input(2));
  const Tensor* same_zero = single_constant(dequantize.input(2));
  if (zero == nullptr || same_zero == nullptr || zero->dtype() != same_zero->dtype() ||
      !is_integer(zero->dtype()) || dtype_bits(zero->dtype()) > 16) {
    return std::nullopt;
  }
  found.params.zero_point = static_cast<int32_t>(to_int64s(*zero)[0]);
  found.range = integer_range(zero->dtype());
  if (to_int64s(*same_zero)[0] != found.params.zero_point) return std::nullopt;
  return found;
}

Tensor fake_quantized(const Tensor& x, const RoundTrip& round_trip) {
  Tensor y = Tensor::allocate(DType::kFloat, x.shape());
  const auto& [params, range] = round_trip;
  kernels::fake_quant_f32({.x = x.data<float>(),
                           .count = x.size(),
                           .scale = params.scale,
                           .low = static_cast<float>(range.min - params.zero_point),
                           .high = static_cast<float>(range.max - params.zero_point),
                           .y = y.mutable_data<float>()});
  return y;
}

Kernel fake_quantize(const RoundTrip& round_trip) {
  return [round_trip](KernelContext& c) {
    Tensor x = c.input(0);
    if (is_half(x.dtype())) x = half_to_float(x);
    if (x.dtype() == DType::kInt32) x = Tensor::of<float>(x.shape(), to_floats(x));
    if (x.dtype() != DType::kFloat) {
      c.unsupported("data of type " + std::string(dtype_name(x.dtype())));
    }
    c.set_output(0, fake_quantized(x, round_trip));
  };
}

}  // namespace dwindle
