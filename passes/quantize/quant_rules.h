// What quantization does with each op: one row an op.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/ir/graph.h"

namespace dwindle::passes {

enum class QuantKind {
  kWeighted,      // does the arithmetic worth quantizing: asks for quantized inputs and output
  kHoldsWeights,  // computes in float; its constant weights are stored as integers
  kOwnRange,      // follows quantized inputs; its output has a range of its own
  kSharesRange,  // follows quantized inputs; output and data inputs have one scale (moved or chosen
                 // elements, or none larger than the inputs')
};

struct QuantRule {
  const char* op;
  QuantKind kind;
  uint32_t data_inputs;  // bit i: input i is data; all bits: every input is, however many
  std::array<int, 2> weight_inputs = {-1, -1};  // stored as integers where constant
  int bias_input = -1;                          // int32 at scale_x · scale_w

  // Whether input i is data: an activation, or a constant like one.
  bool is_data(size_t i) const { return i < 32 ? (data_inputs >> i & 1) != 0 : data_inputs == ~0u; }
};

// The rule of `node`, or null where the op stays in float.
const QuantRule* quant_rule(const Node& node);

// The inputs of `node` whose constants are stored as integers where the node computes in float:
// those of its rule; the left operand of a product where that is the constant one; of an Einsum,
// the matrices that it sums over (what it only scales or spreads, positions or frequencies, is no
// weight).
std::vector<int> stored_inputs(const Node& node);

// Which axes of the weights at `input` of `node` mean what; -1 where there is none.
struct WeightAxes {
  int channels = -1;  // indexes output channels (rows of a table): one scale an index
  int summed = -1;    // is summed over (the elements of a row): blocks lie along it
};
WeightAxes weight_axes(const Node& node, int input, int rank);

// The axis of the data input that the weights are summed over (negative: from the end).
int reduced_data_axis(const Node& node);

}  // namespace dwindle::passes
