// What quantization does with each op: one row an op.
#pragma once

#include <cstdint>

#include "core/ir/graph.h"

namespace dwindle::passes {

enum class QuantKind {
  kWeighted,     // does the arithmetic worth quantizing: asks for quantized inputs and output
  kOwnRange,     // follows quantized inputs; its output has a range of its own
  kSharesRange,  // follows quantized inputs; output and data inputs have one scale (moved or chosen
                 // elements, or none larger than the inputs')
};

struct QuantRule {
  const char* op;
  QuantKind kind;
  uint32_t data_inputs;   // bit i: input i is data (an activation, or a constant like one)
  int weight_input = -1;  // of kWeighted: quantized per channel where constant
  int bias_input = -1;    // int32 at scale_x · scale_w
};

// The rule of `node`, or null where the op stays in float.
const QuantRule* quant_rule(const Node& node);

// The axis of the weights that indexes output channels, -1 where there is none. `weights` is the
// weight tensor of `node`, which has a kWeighted rule.
int output_channel_axis(const Node& node, const Tensor& weights);

// The axis of the data input that the weights are summed over (negative: from the end).
int reduced_data_axis(const Node& node);

}  // namespace dwindle::passes
