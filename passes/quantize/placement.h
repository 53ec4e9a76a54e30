// Placement: which values of a graph get a quantized form, and which of them hold the same
// elements.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/ir/model.h"
#include "passes/quantize/quant_rules.h"

namespace dwindle::passes {

// A node that stays in float, and why.
struct Island {
  const Node* node;
  std::string reason;
};

struct Placement {
  // Values that get a quantized form, in the order of the graph; constants among the data inputs
  // (the second operand of an Add) too.
  std::vector<Value*> values;
  // Nodes whose weights are quantized.
  std::vector<Node*> weighted;
  // Concats whose inputs and output may share one scale, if their ranges turn out to be alike.
  std::vector<Node*> concats;
  std::vector<Island> islands;

  bool quantizes(const Value* value) const { return sources_.contains(value); }
  // The value whose scale `value` has because it holds the same elements: itself, or what it was
  // moved from.
  const Value* source(const Value* value) const;

  std::unordered_map<const Value*, const Value*> sources_;  // in one or more steps
};

// Decides for the main graph of `model`, whose types have been inferred. `excluded(node)` says
// which nodes stay in float. Sources of the choices: where ONNX Runtime, TFLite and CMSIS-NN have
// int8 kernels, and what they fuse: Conv, Gemm and MatMul with the Relu or Clip behind them.
Placement place_quantization(const Model& model, const std::function<bool(const Node&)>& excluded);

// The last of the nodes that run fused with `node` on its output: a Relu or Clip that alone reads
// it, a constant bias added to a MatMul.
Node* fused_tail(Node* node, const std::function<bool(const Node&)>& excluded);

}  // namespace dwindle::passes
