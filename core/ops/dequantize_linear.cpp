// DequantizeLinear.
#include "core/ir/small_float.h"
#include "core/ops/dispatch.h"
#include "core/ops/families.h"
#include "core/ops/half.h"
#include "core/ops/quant_layout.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

template <typename T>
void dequantize_run(const T* __restrict x, const float* __restrict scale,
                    const int32_t* __restrict zero_point, bool steps, float* __restrict out,
                    int64_t count) {
  if (steps) {
    for (int64_t i = 0; i < count; ++i) {
      out[i] = static_cast<float>(wrapping_sub<int32_t>(x[i], zero_point[i])) * scale[i];
    }
  } else {
    const float by = *scale;
    const int32_t zero = *zero_point;
    for (int64_t i = 0; i < count; ++i) {
      out[i] = static_cast<float>(wrapping_sub<int32_t>(x[i], zero)) * by;
    }
  }
}

void scale_run(const float* x, const float* scale, bool steps, float* out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = x[i] * scale[steps ? i : 0];
}

// Packed integers one to a byte.
Tensor unpacked(const Tensor& x) {
  Tensor out = Tensor::allocate(DType::kInt8, x.shape());
  const auto bits = static_cast<unsigned>(dtype_bits(x.dtype()));
  // Moving the field to the top of a byte and back extends its sign.
  const unsigned spare = 8 - bits;
  const bool is_signed = is_signed_integer(x.dtype());
  int8_t* to = out.mutable_data<int8_t>();
  const std::byte* from = x.bytes();
  for (int64_t i = 0; i < x.size(); ++i) {
    const unsigned at = static_cast<unsigned>(i) * bits % 8;
    const auto byte = static_cast<unsigned>(from[i * bits / 8]);
    const auto top = static_cast<uint8_t>(byte >> at << spare);
    to[i] = is_signed ? static_cast<int8_t>(static_cast<int8_t>(top) >> spare)
                      : static_cast<int8_t>(top >> spare);
  }
  return out;
}

struct DequantizeLinear {
  explicit DequantizeLinear(const Node& node)
      : axis(node.int_attribute("axis", 1)),
        block_size(node.int_attribute("block_size", 0)),
        output_dtype(static_cast<DType>(node.int_attribute("output_dtype", 0))) {
    const bool known =
        output_dtype == DType::kUndefined || output_dtype == DType::kFloat || is_half(output_dtype);
    if (!known) {
      throw Unsupported("DequantizeLinear node '" + node.name + "': output_dtype " +
                        std::to_string(static_cast<int>(output_dtype)) + " is not supported");
    }
  }

  Tensor dequantize(KernelContext& c) const;

  int64_t axis, block_size;
  DType output_dtype;
};

Tensor DequantizeLinear::dequantize(KernelContext& c) const {
  Tensor x = c.input(0);
  const DType dtype = output_dtype != DType::kUndefined ? output_dtype : c.input(1).dtype();
  if (dtype != DType::kFloat && !is_half(dtype)) {
    c.unsupported("dequantizing to " + std::string(dtype_name(dtype)));
  }
  const QuantLayout layout(c, x.shape(), c.input(1).shape(), axis, block_size);
  const ScalesAndZeroPoints params = read_scales(c, 1, 2);
  Tensor out = Tensor::allocate(DType::kFloat, x.shape());
  float* to = out.mutable_data<float>();
  if (small_float(x.dtype()) != nullptr) {
    const std::vector<float> values = to_floats(x);
    layout.for_each_run([&](int64_t at, int64_t scale, int64_t count) {
      scale_run(values.data() + at, params.scales.data() + scale, layout.steps(), to + at, count);
    });
  } else {
    if (is_integer(x.dtype()) && dtype_bits(x.dtype()) < 8) x = unpacked(x);
    using Sources = TypeList<uint8_t, int8_t, uint16_t, int16_t, int32_t>;
    dispatch(c, Sources{}, x.dtype(), [&]<typename T>(TypeTag<T>) {
      const T* in = x.data<T>();
      layout.for_each_run([&](int64_t at, int64_t scale, int64_t count) {
        dequantize_run(in + at, params.scales.data() + scale, params.zero_points.data() + scale,
                       layout.steps(), to + at, count);
      });
    });
  }
  return is_half(dtype) ? float_to_half(out, dtype) : out;
}

// Weights are dequantized once, on the first run.
Kernel dequantize_kernel(const Node& node, int) {
  bool constant = true;
  for (const Value* input : node.inputs()) {
    constant = constant && (input == nullptr || input->constant() != nullptr);
  }
  return
      [dequantize = DequantizeLinear(node), constant, kept = Tensor()](KernelContext& c) mutable {
        if (kept.defined()) return c.set_output(0, kept);
        Tensor out = dequantize.dequantize(c);
        if (constant) kept = out;
        c.set_output(0, std::move(out));
      };
}

void infer_dequantize(InferContext& c) {
  const DType given = DequantizeLinear(c.node()).output_dtype;
  c.set_output(0, given != DType::kUndefined ? given : c.dtype(1), c.shape(0));
}

constexpr uint32_t kData = 1u << 0;

}  // namespace

std::span<const OpRow> dequantize_linear_ops() {
  static constexpr OpRow kRows[] = {
      {"", "DequantizeLinear", 10, infer_dequantize, dequantize_kernel, kData, kNoTraits, kNative}};
  return kRows;
}

}  // namespace dwindle
