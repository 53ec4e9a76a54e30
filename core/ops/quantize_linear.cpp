// QuantizeLinear and DynamicQuantizeLinear.
#include <bit>
#include <cmath>
#include <limits>

#include "core/ir/small_float.h"
#include "core/ops/dispatch.h"
#include "core/ops/families.h"
#include "core/ops/half.h"
#include "core/ops/quant_layout.h"
#include "core/quant/params.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

constexpr float kToWhole = 12582912.0f;  // 1.5 · 2^23

// saturate(round_half_even(x / scale) + zero_point), as core/quant/params.h defines it, in steps
// that vectorize: the quotient is clamped first, so that it rounds to an integer of few bits when
// kToWhole is added, which then stands in the low bits of the sum. NaN becomes the least integer.
template <typename T>
void quantize_run(const float* __restrict x, const float* __restrict scale,
                  const int32_t* __restrict zero_point, bool steps, T* __restrict out,
                  int64_t count, IntegerRange range) {
  auto quantized = [range](float value, float by, int32_t zero) {
    const float least = static_cast<float>(range.min - zero);
    const float most = static_cast<float>(range.max - zero);
    float q = value / by;
    q = q > least ? q : least;
    q = q < most ? q : most;
    const auto bits = std::bit_cast<int32_t>(q + kToWhole);
    return static_cast<T>(bits - std::bit_cast<int32_t>(kToWhole) + zero);
  };
  if (steps) {
    for (int64_t i = 0; i < count; ++i) out[i] = quantized(x[i], scale[i], zero_point[i]);
  } else {
    const float by = *scale;
    const int32_t zero = *zero_point;
    for (int64_t i = 0; i < count; ++i) out[i] = quantized(x[i], by, zero);
  }
}

float rounded_to(DType half, float value) {
  return half == DType::kFloat16 ? to_float(to_float16(value)) : to_float(to_bfloat16(value));
}

struct QuantizeLinear {
  explicit QuantizeLinear(const Node& node)
      : axis(node.int_attribute("axis", 1)), block_size(node.int_attribute("block_size", 0)) {
    rounding.saturate = node.int_attribute("saturate", 1) != 0;
    const int64_t precision_code = node.int_attribute("precision", 0);
    if (precision_code == static_cast<int64_t>(DType::kFloat16)) precision = DType::kFloat16;
    if (precision_code == static_cast<int64_t>(DType::kBfloat16)) precision = DType::kBfloat16;
    if (precision == DType::kFloat && precision_code > 1) {
      throw Unsupported("QuantizeLinear node '" + node.name + "': precision " +
                        std::to_string(precision_code) + " is not supported");
    }
  }

  void run(KernelContext& c) const;
  void quantize_integers(KernelContext& c, const Tensor& x, const QuantLayout& layout,
                         const ScalesAndZeroPoints& params, DType to) const;
  Tensor divide(const Tensor& x, const QuantLayout& layout, const std::vector<float>& scales) const;

  int64_t axis, block_size;
  SmallFloatRounding rounding;
  DType precision = DType::kFloat;
};

// x / scale where it is not rounded to an integer at once.
Tensor QuantizeLinear::divide(const Tensor& x, const QuantLayout& layout,
                              const std::vector<float>& scales) const {
  Tensor quotient = Tensor::allocate(DType::kFloat, x.shape());
  const float* in = x.data<float>();
  float* out = quotient.mutable_data<float>();
  layout.for_each_run([&](int64_t at, int64_t scale, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      const float by = scales[static_cast<size_t>(scale + (layout.steps() ? i : 0))];
      out[at + i] = precision == DType::kFloat
                        ? in[at + i] / by
                        : rounded_to(precision,
                                     rounded_to(precision, in[at + i]) / rounded_to(precision, by));
    }
  });
  return quotient;
}

void QuantizeLinear::quantize_integers(KernelContext& c, const Tensor& x, const QuantLayout& layout,
                                       const ScalesAndZeroPoints& params, DType to) const {
  const IntegerRange range = integer_range(to);
  const bool packed = dtype_bits(to) < 8;
  const DType storage = packed ? DType::kInt8 : to;
  Tensor out = Tensor::allocate(storage, x.shape());
  using Targets = TypeList<uint8_t, int8_t, uint16_t, int16_t>;
  const float* in = x.data<float>();
  dispatch(c, Targets{}, storage, [&]<typename T>(TypeTag<T>) {
    T* q = out.mutable_data<T>();
    layout.for_each_run([&](int64_t at, int64_t scale, int64_t count) {
      quantize_run(in + at, params.scales.data() + scale, params.zero_points.data() + scale,
                   layout.steps(), q + at, count, range);
    });
  });
  if (packed) {
    const auto values = out.values<int8_t>();
    out = integer_tensor({values.begin(), values.end()}, x.shape(), to);
  }
  c.set_output(0, std::move(out));
}

// None where the model does not say it before running.
DType output_dtype(const Node& node, DType zero_point) {
  if (zero_point != DType::kUndefined) return zero_point;
  if (node.input(2) != nullptr) return DType::kUndefined;
  const int64_t given = node.int_attribute("output_dtype", 0);
  if (given == 0) return DType::kUint8;
  if (given != static_cast<int32_t>(given) || !is_known_dtype(static_cast<int32_t>(given))) {
    throw BadModel(node.op_type + " node '" + node.name + "': output_dtype is " +
                   std::to_string(given) + ", which is no dtype");
  }
  return static_cast<DType>(given);
}

void QuantizeLinear::run(KernelContext& c) const {
  Tensor x = c.input(0);
  if (is_half(x.dtype())) x = half_to_float(x);
  if (x.dtype() == DType::kInt32) x = Tensor::of<float>(x.shape(), to_floats(x));
  if (x.dtype() != DType::kFloat) {
    c.unsupported("data of type " + std::string(dtype_name(x.dtype())));
  }
  const DType to = output_dtype(c.node(), c.has_input(2) ? c.input(2).dtype() : DType::kUndefined);
  const QuantLayout layout(c, x.shape(), c.input(1).shape(), axis, block_size);
  ScalesAndZeroPoints params = read_scales(c, 1, 2);
  if (precision != DType::kFloat || !is_integer(to)) {
    x = divide(x, layout, params.scales);
    params.scales.assign(params.scales.size(), 1.0f);
  }
  if (is_integer(to)) return quantize_integers(c, x, layout, params, to);
  if (small_float(to) == nullptr) {
    c.unsupported("quantizing to " + std::string(dtype_name(to)));
  }
  c.set_output(0, small_float_tensor(x.values<float>(), x.shape(), to, rounding));
}

Kernel quantize_kernel(const Node& node, int) {
  return [quantize = QuantizeLinear(node)](KernelContext& c) { quantize.run(c); };
}

void infer_quantize(InferContext& c) {
  c.set_output(0, output_dtype(c.node(), c.dtype(2)), c.shape(0));
}

// --- DynamicQuantizeLinear --------------------------------------------------------------------

void dynamic_quantize(KernelContext& c) {
  const Tensor& x = c.input(0);
  const float* in = x.data<float>();
  float low = 0, high = 0;
  for (int64_t i = 0; i < x.size(); ++i) {
    low = in[i] < low ? in[i] : low;
    high = in[i] > high ? in[i] : high;
  }
  const float scale = low == high ? 1.0f : (high - low) / 255.0f;
  const float zero = std::nearbyint(std::min(std::max(-low / scale, 0.0f), 255.0f));
  const auto zero_point = static_cast<uint8_t>(zero);
  const auto zero_point_32 = static_cast<int32_t>(zero_point);
  uint8_t* out = c.output(0, DType::kUint8, x.shape()).mutable_data<uint8_t>();
  parallel_for(x.size(), kElementGrain, [&](int64_t begin, int64_t end) {
    quantize_run(in + begin, &scale, &zero_point_32, false, out + begin, end - begin, {0, 255});
  });
  c.set_output(1, Tensor::scalar(scale));
  c.set_output(2, Tensor::scalar(zero_point));
}

Kernel dynamic_quantize_kernel(const Node&, int) { return dynamic_quantize; }

void infer_dynamic_quantize(InferContext& c) {
  c.set_output(0, DType::kUint8, c.shape(0));
  c.set_output(1, DType::kFloat, Shape{});
  c.set_output(2, DType::kUint8, Shape{});
}

}  // namespace

std::span<const OpRow> quantize_linear_ops() {
  static constexpr OpRow kRows[] = {
      {"", "QuantizeLinear", 10, infer_quantize, quantize_kernel, 0, kNoTraits, kNative},
      {"", "DynamicQuantizeLinear", 11, infer_dynamic_quantize, dynamic_quantize_kernel},
  };
  return kRows;
}

}  // namespace dwindle
