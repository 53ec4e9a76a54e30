#include "passes/quantize/rewrite.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_set>

#include "core/ops/op.h"
#include "core/quant/observer.h"

namespace dwindle::passes {
namespace {

// Whether the node picks indices of axis `axis` of its table, and what belongs to them as a whole:
// the scale of an index can be picked the same way.
bool picks_along(const Node& node, int axis) {
  if (node.is("Gather")) return axis == 0;
  if (node.is("Slice")) return axis >= 0;
  if (!node.is("GatherND") || node.int_attribute("batch_dims", 0) != 0) return false;
  const auto& shape = node.input(1)->type.shape;
  return axis == 0 && shape && !shape->empty() && shape->back().extent == 1;
}

// Gather → Cast → Mul with the gathered scales: the table stays small in memory too, where a
// DequantizeLinear of all rows would write it out in float on every run.
void write_table_of_bytes(const PlannedWeights& planned, QdqInserter& inserter) {
  Node& gather = *planned.site.node;
  Graph& graph = *gather.graph();
  const Value& table = *gather.input(0);
  Value* const result = gather.output();
  const Tensor& scales = planned.quantized.scales;
  Dims column(planned.quantized.integers.shape().size(), 1);
  column[static_cast<size_t>(planned.format.axis)] = scales.size();
  Value* integers = inserter.constant(table, "_quantized", planned.quantized.integers);
  Value* factors = inserter.constant(table, "_scale", scales.reshaped(std::move(column)));
  auto add = [&](const char* op, const std::vector<Value*>& inputs, const char* suffix) {
    return graph.add_node(op, inputs, 1, &gather, result->name() + suffix);
  };
  auto pick = [&](Value* from, const char* suffix) {
    std::vector<Value*> inputs = gather.inputs();
    inputs[0] = from;
    return add(gather.op_type.c_str(), inputs, suffix);
  };
  Node* picked = pick(integers, "_quantized");
  picked->name = gather.name;
  Node* cast = add("Cast", {picked->output()}, "_cast");
  cast->set_attribute("to", static_cast<int64_t>(DType::kFloat));
  Node* factor = pick(factors, "_scale");
  Node* product = graph.add_node("Mul", {cast->output(), factor->output()}, 0, &gather);
  picked->output()->type = {planned.format.dtype, result->type.shape, {}};
  cast->output()->type = result->type;
  factor->output()->type = {DType::kFloat, std::nullopt, {}};
  // The value itself moves over: what is planned for it holds.
  product->add_output(gather.take_output(0));
  graph.erase(&gather);
}

// The bias of a MatMul: an operand of the Add behind it, which stays in float. None where there is
// none.
std::optional<Use> added_bias(Node& node, const KeptFloat& kept) {
  if (!node.is("MatMul") || fused_tail(&node, kept) == &node) return std::nullopt;
  Node* add = node.output()->uses().front().node;
  if (!add->is("Add")) return std::nullopt;
  return Use{add, add->input(0) == node.output() ? size_t{1} : size_t{0}};
}

void correct_added_bias(Node& node, const std::vector<float>& lost, const KeptFloat& kept,
                        QdqInserter& inserter) {
  const auto bias = added_bias(node, kept);
  if (!bias) return;
  const Value& real = *bias->node->input(bias->input);
  if (real.constant()->size() != static_cast<int64_t>(lost.size())) return;
  bias->node->set_input(
      bias->input, inserter.constant(real, "_corrected", corrected_bias(*real.constant(), lost)));
}

// Gives an added bias as many axes as the product has. ONNX Runtime 1.31 on x86 makes Reshape and
// Gemm of a product of fixed, three-dimensional shapes and a bias of one axis; from opset 21 on it
// then turns int8 data into uint8 but for an attribute of what it has put in, and refuses the
// model.
void keep_bias_added(Node& node, const KeptFloat& kept, QdqInserter& inserter) {
  const auto bias = added_bias(node, kept);
  if (!bias) return;
  const auto& shape = bias->node->output()->type.shape;
  if (!shape) return;
  const Value& real = *bias->node->input(bias->input);
  const Tensor& values = *real.constant();
  if (shape->size() < 3 || static_cast<size_t>(values.rank()) == shape->size()) return;
  Dims dims(shape->size(), 1);
  dims.back() = values.size();
  bias->node->set_input(bias->input,
                        inserter.constant(real, "_bias", values.reshaped(std::move(dims))));
}

// A bias of zeros for a node that is to get a correction and has room for it.
void make_room(const PlannedWeights& planned) {
  Node& node = *planned.site.node;
  const int at = quant_rule(node)->bias_input;
  if (!planned.real.bias || node.input(static_cast<size_t>(at)) != nullptr) return;
  const Value& weights = *planned.site.weights();
  node.set_input(static_cast<size_t>(at),
                 node.graph()->add_initializer(weights.name() + "_bias", *planned.real.bias));
}

class Rewriter {
 public:
  Rewriter(Model& model, const Plan& plan, const KeptFloat& kept, const RewriteOptions& options)
      : model_(model), plan_(plan), kept_(kept), options_(options) {}

  int64_t run() {
    // Weights first: their nodes still read the float data whose parameters are known.
    const std::unordered_set<const Node*> in_integers(plan_.placement.nodes.begin(),
                                                      plan_.placement.nodes.end());
    for (const PlannedWeights& planned : plan_.weights) {
      Node& node = *planned.site.node;
      const QuantRule& rule = *quant_rule(node);
      const Value* data = node.input(0);
      write_weights(planned, inserter_);
      if (rule.kind != QuantKind::kWeighted) continue;
      if (in_integers.contains(&node)) {
        write_bias(planned, rule, plan_.params.at(data).scale);
      } else {
        correct_bias(planned, kept_, inserter_);
      }
      if (plan_.activations == DType::kInt8 && opset_of(model_, node) >= 21) {
        keep_bias_added(node, kept_, inserter_);
      }
    }
    for (Value* value : plan_.placement.values) insert(value, plan_.params.at(value));
    for (Value* value : dequantized_) {
      inserter_.dequantize_in_bodies(value, readers_in_integers(*value));
    }
    return clips_;
  }

 private:
  std::vector<Use> readers_in_integers(const Value& value) const {
    std::vector<Use> readers;
    for (const Use& use : value.uses()) {
      if (plan_.placement.in_integers(use.node)) readers.push_back(use);
    }
    return readers;
  }

  // What integer arithmetic makes is an integer for all; what is computed in float is rounded for
  // those alone that compute in integers, and stays as it is for the others (the residual stream of
  // a transformer).
  void insert(Value* value, QuantParams params) {
    const Placement& placement = plan_.placement;
    const std::vector<Use> readers = readers_in_integers(*value);
    const bool all = readers.size() == value->uses().size() && !value->is_graph_output();
    if (!all && value->constant() == nullptr && !placement.makes_integers(value->producer())) {
      dequantized_.push_back(inserter_.quantize_for(readers, value, params, plan_.activations));
      return;
    }
    if (Value* unclipped = without_clip(value, params)) {
      value = unclipped;
      ++clips_;
    }
    dequantized_.push_back(inserter_.quantize(value, params, plan_.activations));
    shield_outputs(value->producer(), params);
  }

  // ONNX Runtime 1.31 takes a pair back over what moves data, even where it comes from an output of
  // the model, which is rounded then, and clipped. Behind such an output the pair goes in front of
  // the moves, too: what they move is the same.
  void shield_outputs(Node* behind, QuantParams params) {
    for (Node* node = behind; node != nullptr;) {
      // It takes none over Resize, which may compute new elements, or Concat.
      const QuantRule* rule = quant_rule(*node);
      const bool moves = rule != nullptr && rule->kind == QuantKind::kSharesRange;
      if (!moves || node->is("Resize") || node->is("Concat")) return;
      Value* from = node->input(0);
      if (from->graph() != node->graph()) return;
      if (from->is_graph_output()) {
        inserter_.quantize_for({Use{node, 0}}, from, params, plan_.activations);
      }
      if (from->uses().size() > 1 || from->is_graph_output()) return;
      node = from->producer();
    }
  }

  void write_bias(const PlannedWeights& planned, const QuantRule& rule, float data_scale) {
    const Tensor& scales = planned.quantized.scales;
    // int32 at scale_x · scale_w: not with scales in blocks.
    if (scales.rank() > 1 || !planned.real.bias) {
      correct_bias(planned, kept_, inserter_);
      return;
    }
    Node& node = *planned.site.node;
    const auto at = static_cast<size_t>(rule.bias_input);
    // In float, ONNX Runtime rounds them to the same as it loads the model.
    if (!options_.integer_bias || dtype_bits(plan_.activations) > 8) {
      node.set_input(at, inserter_.constant(*node.input(at), "_rounded",
                                            rounded_bias(*planned.real.bias, planned.lost_means,
                                                         scales, data_scale)));
      return;
    }
    IntegerBias bias = quantize_bias(*planned.real.bias, planned.lost_means, scales, data_scale);
    node.set_input(at, inserter_.dequantized(*node.input(at), std::move(bias.integers), bias.scales,
                                             bias.scales.rank() == 0 ? -1 : 0, 0, &node));
  }

  // Where saturation to the quantized range cuts all that the Relu or Clip in front of `value`
  // cuts, that node goes; what it read takes over the name and is returned. Null where the node
  // stays.
  Value* without_clip(Value* value, QuantParams params) const {
    Node* node = value->producer();
    if (node == nullptr || kept_.contains(node)) return nullptr;
    Graph& graph = *node->graph();
    const std::optional<Range> bounds = clip_bounds(*node);
    const IntegerRange range = integer_range(plan_.activations, plan_.symmetric);
    if (!bounds || dequantize(range.min, params) < bounds->low ||
        dequantize(range.max, params) > bounds->high) {
      return nullptr;
    }
    Value* input = node->input(0);
    const bool alone = input->uses().size() == 1 && !input->is_graph_output();
    if (!alone || input->graph() != &graph || input->producer() == nullptr ||
        input->producer()->is("DequantizeLinear") || !graph.can_replace(value, input)) {
      return nullptr;
    }
    const std::string name = value->name();
    graph.replace(value, input);
    graph.erase(node);
    if (input->name() != name) input->rename(name);
    return input;
  }

  // What a Relu or a Clip with constant bounds cuts to.
  static std::optional<Range> clip_bounds(const Node& node) {
    if (node.is("Relu")) return Range{0, HUGE_VALF};
    if (!node.is("Clip")) return std::nullopt;
    Range bounds{node.float_attribute("min", -HUGE_VALF), node.float_attribute("max", HUGE_VALF)};
    for (size_t i : {1, 2}) {
      if (node.input(i) == nullptr) continue;
      const Tensor* constant = node.input(i)->constant();
      if (constant == nullptr || constant->size() != 1) return std::nullopt;
      (i == 1 ? bounds.low : bounds.high) = to_floats(*constant)[0];
    }
    return bounds;
  }

  Model& model_;
  const Plan& plan_;
  const KeptFloat& kept_;
  const RewriteOptions& options_;
  QdqInserter inserter_;
  std::vector<Value*> dequantized_;
  int64_t clips_ = 0;
};

}  // namespace

void write_weights(const PlannedWeights& planned, QdqInserter& inserter) {
  Node& node = *planned.site.node;
  const bool bytes = dtype_bits(planned.format.dtype) == 8;
  const auto at = static_cast<size_t>(planned.site.input);
  Value* real = planned.site.weights();
  Node* transpose = planned.site.transpose();
  make_room(planned);
  if (bytes && planned.format.block_size == 0 && picks_along(node, planned.format.axis)) {
    write_table_of_bytes(planned, inserter);
  } else {
    drop_factors(node, planned.real);
    const auto dequantized =
        transpose == nullptr ? &QdqInserter::dequantized : &QdqInserter::dequantized_transpose;
    const auto& [integers, scales] = planned.quantized;
    node.set_input(at, (inserter.*dequantized)(*real, integers, scales, planned.format.axis,
                                               planned.format.block_size, &node));
  }
  if (transpose != nullptr && transpose->output()->unused()) transpose->graph()->erase(transpose);
  inserter.drop_if_unread(real);
}

void write_rounded_weights(const PlannedWeights& planned, QdqInserter& inserter) {
  Node& node = *planned.site.node;
  const Value& real = *planned.site.weights();
  const Node* transpose = planned.site.transpose();
  make_room(planned);
  drop_factors(node, planned.real);
  const auto& [integers, scales] = planned.quantized;
  Value* rounded =
      inserter.constant(real, "_rounded", dequantize_weights(integers, scales, planned.format));
  if (transpose != nullptr) {
    Node* turned = node.graph()->add_node("Transpose", {rounded}, 1, &node, "rounded_transposed");
    turned->set_attribute("perm", std::vector<int64_t>{1, 0});
    turned->output()->type = transpose->output()->type;
    rounded = turned->output();
  }
  node.set_input(static_cast<size_t>(planned.site.input), rounded);
}

void correct_bias(const PlannedWeights& planned, const KeptFloat& kept, QdqInserter& inserter) {
  Node& node = *planned.site.node;
  if (!planned.real.bias) {
    if (!planned.lost_means.empty()) correct_added_bias(node, planned.lost_means, kept, inserter);
    return;
  }
  const auto at = static_cast<size_t>(quant_rule(node)->bias_input);
  // It may hold Gemm's beta, which the node has given up.
  const Tensor* given = node.input(at)->constant();
  const bool as_given = given != nullptr && given->identical(*planned.real.bias);
  if (planned.lost_means.empty() && as_given) return;
  node.set_input(at, inserter.constant(*node.input(at), "_corrected",
                                       corrected_bias(*planned.real.bias, planned.lost_means)));
}

int64_t rewrite(Model& model, const Plan& plan, const KeptFloat& kept,
                const RewriteOptions& options) {
  const int64_t clips = Rewriter(model, plan, kept, options).run();
  drop_unread_initializers(model);
  return clips;
}

void drop_unread_initializers(Model& model) {
  for_each_graph(*model.graph, [](Graph& graph) {
    for (Value* value : graph.initializers()) {
      if (value->unused() && !value->is_graph_input()) graph.erase(value);
    }
    graph.sweep();
  });
}

}  // namespace dwindle::passes
