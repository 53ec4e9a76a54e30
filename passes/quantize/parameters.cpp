#include "passes/quantize/parameters.h"

#include <algorithm>
#include <cmath>

#include "core/ir/finite.h"
#include "core/quant/params.h"
#include "core/support/error.h"

namespace dwindle::passes {
namespace {

constexpr float kMostBias = 1 << 30;

// A scale for fewer weights would take more bits than it saves.
constexpr int64_t kLeastBlock = 8;

const Tensor* float_constant(const Value* value) {
  const Tensor* constant = value == nullptr ? nullptr : value->constant();
  return constant != nullptr && constant->dtype() == DType::kFloat ? constant : nullptr;
}

const Tensor* bias_input(const Node& node) {
  const int input = quant_rule(node)->bias_input;
  return input < 0 ? nullptr : float_constant(node.input(static_cast<size_t>(input)));
}

int64_t output_channels(const WeightSite& site, const Tensor& weights) {
  const int axis = site.axes().channels;
  const int64_t channels = axis < 0 ? 0 : weights.shape()[static_cast<size_t>(axis)];
  return channels * (site.node->is("ConvTranspose") ? site.node->int_attribute("group", 1) : 1);
}

// Biases go with the columns of a product, of which a constant left operand has none.
bool takes_bias(const WeightSite& site) {
  const QuantRule& rule = *quant_rule(*site.node);
  return rule.bias_input >= 0 && rule.weight_inputs[0] == site.input;
}

// The constant bias, one value an output channel; null where there is none of that form.
const Tensor* bias_of(const WeightSite& site, const Tensor& weights) {
  if (!takes_bias(site)) return nullptr;
  const Tensor* bias = bias_input(*site.node);
  if (bias == nullptr || bias->rank() != 1) return nullptr;
  return bias->size() == output_channels(site, weights) ? bias : nullptr;
}

void multiply(Tensor& tensor, float by) {
  if (by == 1.0f) return;
  float* values = tensor.mutable_data<float>();
  for (int64_t i = 0; i < tensor.size(); ++i) values[i] *= by;
}

// The weights as [outputs, data channels] of sums over what a data channel's mean multiplies.
// Conv: [M, C/groups, taps]; matrices: [K, N] or, transposed, [N, K].
struct ErrorView {
  int64_t outputs, channels, taps;
  int64_t output_stride, channel_stride, tap_stride;
  int64_t groups = 1;
};

std::optional<ErrorView> error_view(const WeightSite& site, const Tensor& weights) {
  const Node& node = *site.node;
  const Dims& dims = weights.shape();
  if (node.is("Conv") && weights.rank() >= 3) {
    const int64_t taps = weights.size() / std::max<int64_t>(1, dims[0] * dims[1]);
    return ErrorView{
        dims[0], dims[1], taps, dims[1] * taps, taps, 1, node.int_attribute("group", 1)};
  }
  if ((node.is("MatMul") || node.is("Gemm")) && weights.rank() == 2) {
    if (site.axes().channels == 0) return ErrorView{dims[0], dims[1], 1, dims[1], 1, 1};
    return ErrorView{dims[1], dims[0], 1, 1, dims[1], 1};
  }
  return std::nullopt;
}

void require_finite(const Node& node, const Tensor& tensor, const char* what) {
  const NonFinite found = find_non_finite(tensor);
  if (!found.any()) return;
  throw BadModel(node.op_type + " node '" + node.name + "': its " + what + " hold " +
                 (std::isnan(found.first_value) ? "NaN" : "an infinity") + " at element " +
                 std::to_string(found.first) + " of " + to_string(tensor.shape()));
}

}  // namespace

bool keeps_bytes(const Node& node) { return node.is("Slice"); }

WeightFormat weight_format(const WeightSite& site, const Tensor& weights,
                           const WeightOptions& options) {
  WeightFormat format{options.dtype, options.range, -1, 0};
  const WeightAxes axes = site.axes();
  if (keeps_bytes(*site.node)) {
    format.dtype = DType::kInt8;
    if (options.per_channel) format.axis = axes.channels;
    return format;
  }
  const int64_t summed = axes.summed < 0 ? 0 : weights.shape()[static_cast<size_t>(axes.summed)];
  int64_t block_size = options.block_size;
  if (options.dtype == DType::kInt2) {
    // Without blocks, ONNX Runtime 1.31 takes 2-bit weights between quantized activations for 8-bit
    // ones and refuses the model; depthwise weights have nothing to make blocks of.
    if (block_size == 0) block_size = summed;
    if (summed < kLeastBlock) format.dtype = DType::kInt8;
    // ONNX Runtime 1.31 reads the wrong weights where their columns do not fill bytes.
    const bool product = site.node->is("MatMul") || site.node->is("Gemm");
    if (product && axes.channels >= 0 && format.dtype == DType::kInt2 &&
        weights.shape()[static_cast<size_t>(axes.channels)] % 4 != 0) {
      format.dtype = DType::kInt4;
    }
  }
  format.reduce_range = options.reduce_range && format.dtype == DType::kInt8;
  if (block_size > 0 && summed >= kLeastBlock) {
    format.axis = axes.summed;
    format.block_size = std::min(block_size, summed);
  } else if (options.per_channel) {
    format.axis = axes.channels;
  }
  return format;
}

Parameters parameters_of(const WeightSite& site) {
  const Node& node = *site.node;
  const Tensor& weights = *float_constant(site.weights());
  const Tensor* bias = bias_of(site, weights);
  Parameters parameters{weights, bias == nullptr ? std::nullopt : std::optional(*bias)};
  const auto bias_at = static_cast<size_t>(quant_rule(node)->bias_input);
  const bool room = takes_bias(site) && node.input(bias_at) == nullptr;
  if (room && output_channels(site, weights) > 0) {
    parameters.bias = Tensor::zeros(DType::kFloat, {output_channels(site, weights)});
  }
  if (node.is("Gemm")) {
    multiply(parameters.weights, node.float_attribute("alpha", 1.0f));
    // Without a constant bias, beta belongs to an operand that stays.
    if (bias != nullptr) multiply(*parameters.bias, node.float_attribute("beta", 1.0f));
  }
  return parameters;
}

void drop_factors(Node& node, const Parameters& parameters) {
  if (!node.is("Gemm")) return;
  node.remove_attribute("alpha");
  if (parameters.bias) node.remove_attribute("beta");
}

void widen_for_bias(Tensor& scales, const Tensor& bias, float data_scale) {
  if (scales.rank() > 1 || (scales.size() != 1 && scales.size() != bias.size())) return;
  const float* values = bias.data<float>();
  float* scale = scales.mutable_data<float>();
  for (int64_t c = 0; c < bias.size(); ++c) {
    float& own = scale[scales.size() == 1 ? 0 : c];
    own = std::max(own, std::fabs(values[c]) / kMostBias / data_scale);
  }
}

std::vector<float> lost_means(const WeightSite& site, const Tensor& weights,
                              const Tensor& dequantized, const std::vector<double>& means) {
  const auto view = error_view(site, weights);
  if (!view || means.empty() || view->outputs == 0 || view->groups < 1) return {};
  if (static_cast<int64_t>(means.size()) != view->channels * view->groups) return {};
  const float* real = weights.data<float>();
  const float* rounded = dequantized.data<float>();
  std::vector<float> lost(static_cast<size_t>(view->outputs));
  for (int64_t o = 0; o < view->outputs; ++o) {
    const int64_t first = o / (view->outputs / view->groups) * view->channels;
    double sum = 0;
    for (int64_t c = 0; c < view->channels; ++c) {
      double error = 0;
      for (int64_t t = 0; t < view->taps; ++t) {
        const int64_t at =
            o * view->output_stride + c * view->channel_stride + t * view->tap_stride;
        error += static_cast<double>(real[at]) - static_cast<double>(rounded[at]);
      }
      sum += error * means[static_cast<size_t>(first + c)];
    }
    lost[static_cast<size_t>(o)] = static_cast<float>(sum);
  }
  return lost;
}

IntegerBias quantize_bias(const Tensor& bias, const std::vector<float>& correction,
                          const Tensor& scales, float data_scale) {
  std::vector<int32_t> values(static_cast<size_t>(bias.size()));
  const float* real = bias.data<float>();
  const auto given = scales.values<float>();
  // The scales of grouped transposed convolutions repeat with each group. The product is rounded to
  // float, as a runtime that reads both scales from the file has it.
  std::vector<float> products(scales.rank() == 0 ? 1 : values.size());
  for (size_t c = 0; c < products.size(); ++c) products[c] = data_scale * given[c % given.size()];
  for (size_t c = 0; c < values.size(); ++c) {
    const double sum = static_cast<double>(real[c]) + (correction.empty() ? 0.0f : correction[c]);
    const double units = sum / products[c % products.size()];
    constexpr double kMost = 2147483647.0;
    values[c] = static_cast<int32_t>(std::clamp(std::nearbyint(units), -kMost, kMost));
  }
  const Dims shape = scales.rank() == 0 ? Dims{} : Dims{static_cast<int64_t>(products.size())};
  return {integer_tensor(values, bias.shape(), DType::kInt32), Tensor::of<float>(shape, products)};
}

Tensor rounded_bias(const Tensor& bias, const std::vector<float>& correction, const Tensor& scales,
                    float data_scale) {
  const IntegerBias rounded = quantize_bias(bias, correction, scales, data_scale);
  Tensor floats = Tensor::allocate(DType::kFloat, bias.shape());
  const auto integers = rounded.integers.values<int32_t>();
  const auto units = rounded.scales.values<float>();
  float* out = floats.mutable_data<float>();
  for (size_t c = 0; c < integers.size(); ++c) {
    out[c] = static_cast<float>(integers[c]) * units[c % units.size()];
  }
  return floats;
}

Tensor corrected_bias(const Tensor& bias, const std::vector<float>& correction) {
  Tensor corrected = bias;
  if (correction.empty()) return corrected;
  float* values = corrected.mutable_data<float>();
  for (int64_t c = 0; c < corrected.size(); ++c) values[c] += correction[static_cast<size_t>(c)];
  return corrected;
}

void require_finite_parameters(const WeightSite& site) {
  const Tensor& weights = *float_constant(site.weights());
  require_finite(*site.node, weights, "weights");
  require_finite_bias(site);
}

void require_finite_bias(const WeightSite& site) {
  const Tensor* bias = bias_input(*site.node);
  if (bias != nullptr && find_non_finite(*bias).nans > 0) {
    require_finite(*site.node, *bias, "biases");
  }
}

void require_sound_weights(const Model& model) {
  for (const WeightSite& site : place_quantization(model, {}, {.activations = false}).weights) {
    require_finite_parameters(site);
  }
  for (const NonFiniteConstant& constant : non_finite_constants(model)) {
    if (constant.found.nans == 0 || element_count(constant.shape) == 1) continue;
    throw BadModel("the constant '" + constant.name + "' holds NaN at element " +
                   std::to_string(constant.found.first_nan) + " of " + to_string(constant.shape));
  }
}

}  // namespace dwindle::passes
