#include "passes/quantize/weights.h"

#include <algorithm>
#include <cmath>

#include "core/quant/params.h"
#include "core/support/error.h"

namespace dwindle::passes {
namespace {

constexpr float kMostBias = 1 << 30;

void widen_for_bias(std::vector<float>& scales, const Tensor& bias, float data_scale) {
  const float* values = bias.data<float>();
  for (int64_t c = 0; c < bias.size(); ++c) {
    float& scale = scales[scales.size() == 1 ? 0 : static_cast<size_t>(c)];
    scale = std::max(scale, std::fabs(values[c]) / kMostBias / data_scale);
  }
}

// The weights as [outputs, data channels] of sums over what a data channel's mean multiplies.
// Conv: [M, C/groups, taps]; matrices: [K, N] or, transposed, [N, K].
struct ErrorView {
  int64_t outputs, channels, taps;
  int64_t output_stride, channel_stride, tap_stride;
  int64_t groups = 1;
};

std::optional<ErrorView> error_view(const Node& node, const Tensor& weights) {
  const Dims& dims = weights.shape();
  if (node.is("Conv") && weights.rank() >= 3) {
    const int64_t taps = weights.size() / std::max<int64_t>(1, dims[0] * dims[1]);
    return ErrorView{
        dims[0], dims[1], taps, dims[1] * taps, taps, 1, node.int_attribute("group", 1)};
  }
  if ((node.is("MatMul") || node.is("Gemm")) && weights.rank() == 2) {
    const bool transposed = output_channel_axis(node, weights) == 0;
    if (transposed) return ErrorView{dims[0], dims[1], 1, dims[1], 1, 1};
    return ErrorView{dims[1], dims[0], 1, 1, dims[1], 1};
  }
  return std::nullopt;
}

// Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
// ICCV 2019, section 4.2, with measured means: E[y] − E[y_q] = (W − W_q) E[x].
std::vector<float> lost_means(const Node& node, const Tensor& weights,
                              const QuantizedWeights& quantized, const std::vector<double>& means) {
  const auto view = error_view(node, weights);
  if (!view || means.empty() || view->outputs == 0 || view->groups < 1) return {};
  if (static_cast<int64_t>(means.size()) != view->channels * view->groups) return {};
  const float* real = weights.data<float>();
  const auto* integers = reinterpret_cast<const int8_t*>(quantized.weights.bytes());
  std::vector<float> lost(static_cast<size_t>(view->outputs));
  for (int64_t o = 0; o < view->outputs; ++o) {
    const float scale = quantized.scales[quantized.scales.size() == 1 ? 0 : static_cast<size_t>(o)];
    const int64_t first = o / (view->outputs / view->groups) * view->channels;
    double sum = 0;
    for (int64_t c = 0; c < view->channels; ++c) {
      double error = 0;
      for (int64_t t = 0; t < view->taps; ++t) {
        const int64_t at =
            o * view->output_stride + c * view->channel_stride + t * view->tap_stride;
        error += static_cast<double>(real[at]) - static_cast<double>(scale) * integers[at];
      }
      sum += error * means[static_cast<size_t>(first + c)];
    }
    lost[static_cast<size_t>(o)] = static_cast<float>(sum);
  }
  return lost;
}

}  // namespace

void require_finite(const Node& node, const Tensor& tensor, const char* what) {
  const auto values = tensor.values<float>();
  const auto bad =
      std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
  if (bad == values.end()) return;
  throw BadModel(node.op_type + " node '" + node.name + "': its " + what + " hold " +
                 (std::isnan(*bad) ? "NaN" : "an infinity") + " at element " +
                 std::to_string(bad - values.begin()) + " of " + to_string(tensor.shape()));
}

QuantizedWeights quantize_weights(const Node& node, const Tensor& weights, const Tensor* bias,
                                  float data_scale, const std::vector<double>& means,
                                  const WeightOptions& options) {
  require_finite(node, weights, "weights");
  QuantizedWeights result;
  result.axis = options.per_channel ? output_channel_axis(node, weights) : -1;
  result.scales = symmetric_scales(weights, result.axis, options.dtype);
  if (bias != nullptr) {
    require_finite(node, *bias, "biases");
    const bool fits =
        result.scales.size() == 1 || static_cast<int64_t>(result.scales.size()) == bias->size();
    if (fits) widen_for_bias(result.scales, *bias, data_scale);
  }
  result.weights = quantize_symmetric(weights, result.scales, result.axis, options.dtype);
  result.lost_means = lost_means(node, weights, result, means);
  return result;
}

Tensor quantize_bias(const Tensor& bias, const std::vector<float>& correction,
                     const std::vector<float>& scales, float data_scale) {
  std::vector<int32_t> values(static_cast<size_t>(bias.size()));
  const float* real = bias.data<float>();
  for (size_t c = 0; c < values.size(); ++c) {
    // The product is rounded to float, as a runtime that reads both scales from the file has it.
    const float scale = data_scale * scales[scales.size() == 1 ? 0 : c];
    const double sum = static_cast<double>(real[c]) + (correction.empty() ? 0.0f : correction[c]);
    constexpr double kMost = 2147483647.0;
    values[c] = static_cast<int32_t>(std::clamp(std::nearbyint(sum / scale), -kMost, kMost));
  }
  return integer_tensor(values, bias.shape(), DType::kInt32);
}

}  // namespace dwindle::passes
