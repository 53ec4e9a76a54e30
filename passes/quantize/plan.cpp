#include "passes/quantize/plan.h"

namespace dwindle::passes {

PlannedWeights plan_weights(const WeightSite& site, const WeightOptions& options, float data_scale,
                            const std::vector<double>& means) {
  require_finite_parameters(site);
  PlannedWeights planned{site, parameters_of(site), {}, {}, {}};
  const Tensor& real = planned.real.weights;
  planned.format = weight_format(site, real, options);
  Tensor scales = weight_scales(real, planned.format);
  if (planned.real.bias && data_scale > 0) widen_for_bias(scales, *planned.real.bias, data_scale);
  planned.quantized = {quantize_weights(real, scales, planned.format), scales};
  plan_bias(planned, means);
  return planned;
}

void plan_bias(PlannedWeights& planned, const std::vector<double>& means) {
  const WeightSite& site = planned.site;
  if (!means.empty()) {
    planned.lost_means = lost_means(
        site, planned.real.weights,
        dequantize_weights(planned.quantized.integers, planned.quantized.scales, planned.format),
        means);
  }
  // Room for a bias is used for a correction alone.
  const int bias = quant_rule(*site.node)->bias_input;
  const bool has_bias = bias >= 0 && site.node->input(static_cast<size_t>(bias)) != nullptr;
  if (!has_bias && planned.lost_means.empty()) planned.real.bias.reset();
}

}  // namespace dwindle::passes
