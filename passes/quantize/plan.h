// Plan: everything that is decided before a model is rewritten.
#pragma once

#include <unordered_map>
#include <vector>

#include "core/quant/params.h"
#include "passes/quantize/parameters.h"
#include "passes/quantize/placement.h"

namespace dwindle::passes {

// Weights of one site in float and as integers.
struct PlannedWeights {
  WeightSite site;
  Parameters real;
  WeightFormat format;
  QuantizedWeights quantized;
  std::vector<float> lost_means;  // see lost_means(); empty where not known
};

// `data_scale` is that of the data input where the node runs in integers, else 0; `means` those of
// the data input, or empty.
PlannedWeights plan_weights(const WeightSite& site, const WeightOptions& options, float data_scale,
                            const std::vector<double>& means);

// Fills in lost_means and drops the bias that the node has only room for, unless for a correction.
void plan_bias(PlannedWeights& planned, const std::vector<double>& means);

struct Plan {
  Placement placement;
  std::unordered_map<const Value*, QuantParams> params;  // of at least placement.values
  std::vector<PlannedWeights> weights;                   // of at least placement.weights
  DType activations = DType::kUint8;
  bool symmetric = false;
};

}  // namespace dwindle::passes
