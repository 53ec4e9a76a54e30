// The integer form of the weights and biases of one node.
#pragma once

#include <optional>
#include <vector>

#include "core/ir/graph.h"
#include "passes/quantize/quant_rules.h"

namespace dwindle::passes {

struct WeightOptions {
  DType dtype = DType::kInt8;
  bool per_channel = true;
};

struct QuantizedWeights {
  Tensor weights;             // integers, in the shape of the float weights
  std::vector<float> scales;  // one, or one an output channel
  int axis = -1;              // of the output channels, -1 for one scale
  // What rounding the weights takes off the mean of each output channel; empty where not known.
  std::vector<float> lost_means;
};

// Quantizes the constant weights of `node`, symmetric, in the narrow range. `means` are those of
// its data input along reduced_data_axis, or empty. `bias` and `data_scale` widen the scales of
// channels whose bias would not fit into 30 bits at data_scale · scale: int32 holds such a bias and
// leaves room for the sum of products. Raises BadModel where a weight or bias is NaN or infinite.
QuantizedWeights quantize_weights(const Node& node, const Tensor& weights, const Tensor* bias,
                                  float data_scale, const std::vector<double>& means,
                                  const WeightOptions& options);

// The int32 form of a bias at scales[c] · data_scale, after `correction` (may be empty) is added.
Tensor quantize_bias(const Tensor& bias, const std::vector<float>& correction,
                     const std::vector<float>& scales, float data_scale);

// Raises BadModel, naming the node and the element, where `tensor` holds a NaN or an infinity.
void require_finite(const Node& node, const Tensor& tensor, const char* what);

}  // namespace dwindle::passes
