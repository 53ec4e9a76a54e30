// The integer form of the weights and the bias of one node.
#pragma once

#include <optional>
#include <vector>

#include "core/ir/graph.h"
#include "core/quant/weights.h"
#include "passes/quantize/placement.h"

namespace dwindle::passes {

// How weights are quantized, whatever node they belong to.
struct WeightOptions {
  DType dtype = DType::kInt8;
  WeightRange range = WeightRange::kMse;
  bool per_channel = true;
  int64_t block_size = 0;  // along the summed axis; 0: no blocks
  bool reduce_range = false;
};

// Whether the weights of a node have 8 bits, whatever is asked for: narrower integers cannot be
// sliced, so that a runtime would dequantize a whole table to take some rows of it.
bool keeps_bytes(const Node& node);

// The format of the weights at `site`. Without a known axis they have one scale.
WeightFormat weight_format(const WeightSite& site, const Tensor& weights,
                           const WeightOptions& options);

// Weights and the constant bias that goes with them: [channels], zeros where the node has room for
// one, none where it has not. Gemm's alpha and beta are multiplied into the constants that they
// scale.
struct Parameters {
  Tensor weights;
  std::optional<Tensor> bias;
};
Parameters parameters_of(const WeightSite& site);
// Takes off the node what parameters_of() has multiplied in.
void drop_factors(Node& node, const Parameters& parameters);

// Widens the scales of channels whose bias would not fit into 30 bits at data_scale · scale: int32
// holds such a bias and leaves room for the sum of products. Biases that stay in float are no
// exception, as ONNX Runtime makes int32 of them, and saturates. Scales of blocks stay.
void widen_for_bias(Tensor& scales, const Tensor& bias, float data_scale);

// What rounding the weights takes off the mean of each output channel, where the data input has
// `means` along reduced_data_axis; empty where that is not known. Source: Nagel et al., "Data-Free
// Quantization Through Weight Equalization and Bias Correction", ICCV 2019, section 4.2, with
// measured means: E[y] − E[y_q] = (W − W_q) E[x].
std::vector<float> lost_means(const WeightSite& site, const Tensor& weights,
                              const Tensor& dequantized, const std::vector<double>& means);

// The int32 form of a bias at the float32 product data_scale · scales, and that product, [1] or
// [channels]; `correction` (may be empty) is added first.
struct IntegerBias {
  Tensor integers;
  Tensor scales;
};
IntegerBias quantize_bias(const Tensor& bias, const std::vector<float>& correction,
                          const Tensor& scales, float data_scale);

// The float numbers that quantize_bias() stands for.
Tensor rounded_bias(const Tensor& bias, const std::vector<float>& correction, const Tensor& scales,
                    float data_scale);

// `bias` with `correction` (may be empty) added, in float.
Tensor corrected_bias(const Tensor& bias, const std::vector<float>& correction);

// Raises BadModel, naming the node and the element, where weights hold a NaN or an infinity, or
// biases a NaN: an infinite bias is a mask.
void require_finite_parameters(const WeightSite& site);
void require_finite_bias(const WeightSite& site);

// Raises BadModel as these do for all weights of a model that quantize-weights would take, and
// where any other constant of more than one element holds a NaN: what is computed from damaged
// weights proves nothing. A NaN by itself may be a value to fill with, infinities may be a mask.
void require_sound_weights(const Model& model);

}  // namespace dwindle::passes
