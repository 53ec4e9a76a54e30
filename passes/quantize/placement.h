// Placement: which values of a model get a quantized form, which of them hold the same elements,
// and which weights are stored as integers.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/ir/model.h"
#include "passes/quantize/quant_rules.h"

namespace dwindle::passes {

// Nodes that stay in float, and why.
using KeptFloat = std::unordered_map<const Node*, std::string>;

// Nodes of KeptFloat whose weights are stored as integers all the same.
using StoredWeights = std::unordered_set<const Node*>;

struct Island {
  const Node* node;
  std::string reason;
};

// Constant weights at one input of a node.
struct WeightSite {
  Node* node;
  int input;

  // What turns the weights for the node: the columns of a product are the rows of a table that is
  // looked up elsewhere (tied embeddings). Null where the node reads the weights as they are.
  Node* transpose() const;
  Value* weights() const;
  WeightAxes axes() const;  // of weights()
};

struct Placement {
  // Values that get a quantized form, graph by graph in the order of each; constants among the data
  // inputs (the second operand of an Add) too. Empty where only weights are quantized.
  std::vector<Value*> values;
  std::vector<WeightSite> weights;
  // Nodes that work on quantized values; those that run fused behind them are not listed.
  std::vector<Node*> nodes;
  // Concats whose inputs and output may share one scale, if their ranges turn out to be alike.
  std::vector<Node*> concats;
  std::vector<Island> islands;

  bool quantizes(const Value* value) const { return sources_.contains(value); }
  // Whether `node` reads integers: one of `nodes`, or fused behind one.
  bool in_integers(const Node* node) const { return in_integers_.contains(node); }
  // Whether the output of `node` is integers for all that read it. A matrix product writes its
  // int32 sums as float just as well.
  bool makes_integers(const Node* node) const { return makes_integers_.contains(node); }
  // The value whose scale `value` has because it holds the same elements: itself, or what it was
  // moved from.
  const Value* source(const Value* value) const;

  std::unordered_map<const Value*, const Value*> sources_;  // in one or more steps
  std::unordered_set<const Node*> in_integers_, makes_integers_;
};

struct PlacementOptions {
  bool activations = true;  // false: weights alone
  // Integer kernels take the constant left operand of a product as data of 8 bits with one scale.
  // Otherwise it is stored as weights are, and the product stays in float.
  bool left_weights_as_data = true;
  // Whether a MatMul of quantized data reads weights of the wanted dtype: ONNX Runtime 1.31 refuses
  // those of 2 bits. Otherwise the product stays in float.
  bool matmul_takes_weights = true;
  // Whether what moves integers (Slice, Reshape, …) works on integers for readers in float too.
  bool moves_integers = false;
  // Whether the output of an average has the scale of its input.
  bool averages_keep_scale = false;
};

// Decides for all graphs of `model`, whose types have been inferred; bodies of local functions stay
// as they are. Nodes in `kept` stay in float, but for the weights of those that are in `stored`
// too. Sources of the choices: where ONNX Runtime, TFLite and CMSIS-NN have int8 kernels, and what
// they fuse: Conv, Gemm and MatMul with the Relu or Clip behind them.
Placement place_quantization(const Model& model, const KeptFloat& kept,
                             const PlacementOptions& options = {},
                             const StoredWeights& stored = {});

// The last of the nodes that run fused with `node` on its output: a Relu or Clip that alone reads
// it, a constant bias added to a MatMul. Nodes in `kept` are not fused.
Node* fused_tail(Node* node, const KeptFloat& kept);

}  // namespace dwindle::passes
