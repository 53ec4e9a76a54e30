#include "passes/quantize/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <span>

#include "core/support/file.h"
#include "passes/node_names.h"
#include "passes/quantize/softmax_of_one.h"

namespace dwindle::passes {
namespace {

bool is_float_tensor(const Value* value) {
  return value != nullptr && value->type.is_tensor() && value->type.dtype == DType::kFloat;
}

bool is_float_constant(const Value* value) {
  return is_float_tensor(value) && value->constant() != nullptr;
}

bool turns_matrix(const Node& node) {
  if (!node.is("Transpose") || !node.domain.empty() || !is_float_constant(node.input(0))) {
    return false;
  }
  const auto perm = node.ints_attribute("perm");
  return node.input(0)->constant()->rank() == 2 && (!perm || *perm == std::vector<int64_t>{1, 0});
}

constexpr const char* kEmptyWeights = "its weights have no elements";

// There is nothing to make smaller, and ONNX Runtime loads no products of such integers.
bool is_empty_constant(const Value* value) {
  return is_float_constant(value) && value->constant()->size() == 0;
}

constexpr int64_t kLeastRow = 8;

int64_t elements_of_row(const WeightSite& site) {
  const int axis = site.axes().summed;
  return axis < 0 ? 0 : site.weights()->constant()->shape()[static_cast<size_t>(axis)];
}

// An infinite operand (the mask of an attention) has no integer that stands for it; of the lowest
// float, which masks hold instead, a multiple of its scale would be infinite.
constexpr float kAsGoodAsInfinite = std::numeric_limits<float>::max() / 2;

bool holds_infinity(const Value* value) {
  if (!is_float_constant(value)) return false;
  // In parts that are given back: tables of external data may be larger than memory.
  constexpr size_t kPart = 1 << 20;
  auto left = value->constant()->values<float>();
  while (!left.empty()) {
    const auto part = left.first(std::min(left.size(), kPart));
    bool found = false;
    for (float x : part) found |= std::fabs(x) > kAsGoodAsInfinite;
    give_back_pages(std::as_bytes(part));
    if (found) return true;
    left = left.subspan(part.size());
  }
  return false;
}

bool is_bias_add(const Node& add, const Value* product) {
  if (!add.is("Add")) return false;
  const Value* other = add.input(0) == product ? add.input(1) : add.input(0);
  const Tensor* bias = other == nullptr ? nullptr : other->constant();
  if (bias == nullptr || bias->dtype() != DType::kFloat) return false;
  // A vector over the last axis; other shapes are no bias, nor is a mask.
  return bias->rank() >= 1 && bias->size() == bias->shape().back() && !holds_infinity(other);
}

// Whether `small` is stretched along an axis of `large` where they meet in one node.
bool is_broadcast(const Value& small, const Value& large) {
  if (!small.type.shape || !large.type.shape) return false;
  const Shape &from = *small.type.shape, &to = *large.type.shape;
  if (from.size() > to.size()) return false;
  bool stretched = from.size() < to.size();
  for (size_t i = 0; i < from.size(); ++i) {
    const Dim &a = from[from.size() - 1 - i], &b = to[to.size() - 1 - i];
    if (a.same(b)) continue;
    if (a.extent != 1) return false;
    stretched = true;
  }
  return stretched;
}

class Placer {
 public:
  Placer(const Model& model, const KeptFloat& kept, const PlacementOptions& options,
         const StoredWeights& stored)
      : graph_(*model.graph), kept_(kept), stored_(stored), options_(options) {}

  Placement run() {
    for_each_graph(graph_, [&](Graph& graph) {
      for (Node* node : graph.nodes()) visit(node);
    });
    for_each_graph(graph_, [&](Graph& graph) {
      for (Node* node : graph.nodes()) keep_moves_in_integers(node);
    });
    for_each_graph(graph_, [&](Graph& graph) {
      list_islands(graph);
      for (Value* value : graph.values()) {
        if (placement_.quantizes(value)) placement_.values.push_back(value);
      }
    });
    return std::move(placement_);
  }

 private:
  void visit(Node* node) {
    const QuantRule* rule = quant_rule(*node);
    if (rule == nullptr || fused_.contains(node)) return;
    if (kept_.contains(node)) {
      if (stored_.contains(node)) store_weights(node, stored_inputs(*node));
      return;
    }
    if (rule->kind == QuantKind::kHoldsWeights ||
        (rule->kind == QuantKind::kWeighted && !options_.activations)) {
      store_weights(node, stored_inputs(*node));
      return;
    }
    if (!options_.activations || !is_float_tensor(node->output())) return;
    if (rule->kind == QuantKind::kWeighted) {
      quantize_weighted(node, *rule);
    } else if (follows(*node, *rule)) {
      quantize_follower(node, *rule);
    }
  }

  void store_weights(Node* node, const std::vector<int>& inputs) {
    for (int input : inputs) {
      const WeightSite site{node, input};
      const Value* weights = site.weights();
      if (!is_float_constant(weights)) continue;
      if (is_empty_constant(weights)) {
        reasons_[node] = kEmptyWeights;
        continue;
      }
      const bool table = node->is("Slice") || node->op_type.starts_with("Gather");
      const std::string name = (table ? "its table '" : "its constant '") + weights->name() + "'";
      // What has no rows holds coordinates, biases of scores or steps of a schedule: each element
      // counts, and there are few.
      if (table && elements_of_row(site) < kLeastRow) {
        reasons_[node] = fmt::format("{} has no rows of {} elements or more", name, kLeastRow);
        continue;
      }
      // A table of what is added to scores may hold infinities, and so may other constants that are
      // no weights of a layer.
      if ((input == 0 || node->is("Einsum")) && holds_infinity(weights)) {
        reasons_[node] = name + " holds an infinity, or what is as good as one";
        continue;
      }
      placement_.weights.push_back(site);
      with_weights_.insert(node);
      done_.insert(node);
      if (Node* transpose = site.transpose()) done_.insert(transpose);
    }
  }

  void quantize_weighted(Node* node, const QuantRule& rule) {
    Value* weights = WeightSite{node, rule.weight_inputs[0]}.weights();
    if (!is_float_tensor(node->input(0)) || !is_float_tensor(weights)) return;
    if (is_empty_constant(weights)) {
      reasons_[node] = kEmptyWeights;
      return;
    }
    if (rule.bias_input >= 0 && holds_infinity(node->input(static_cast<size_t>(rule.bias_input)))) {
      reasons_[node] = "its biases hold an infinity";
      store_weights(node, {rule.weight_inputs[0]});
      return;
    }
    if (!options_.left_weights_as_data && stored_inputs(*node) == std::vector{0}) {
      reasons_[node] = "integer kernels take no such weights to the left of a product";
      store_weights(node, {0});
      return;
    }
    if (!options_.matmul_takes_weights && node->is("MatMul") && weights->constant() != nullptr) {
      reasons_[node] = "no runtime multiplies such weights by integers";
      store_weights(node, {rule.weight_inputs[0]});
      return;
    }
    mark(node->input(0));
    store_weights(node, {rule.weight_inputs[0]});
    if (weights->constant() == nullptr) mark(weights);
    placement_.nodes.push_back(node);
    placement_.in_integers_.insert(node);
    done_.insert(node);
    Node* tail = fuse(node);
    // An int8 convolution writes int8. The output of a matrix product is rounded to 8 bits only
    // where another quantized node asks for that.
    if (node->is("Conv") || node->is("ConvTranspose")) {
      placement_.makes_integers_.insert(tail);
      mark(tail->output());
    }
  }

  // A follower joins where its data comes as integers: a sum of what convolutions wrote. A value
  // that is computed in float and rounded only for a product behind it (the residual stream of a
  // transformer, between its normalizations) is no reason: in integers the others would gain no
  // time and lose that much. Of an operand that is broadcast it does not matter.
  bool follows(const Node& node, const QuantRule& rule) const {
    std::vector<const Value*> integers, floats;
    for (size_t i = 0; i < node.num_inputs(); ++i) {
      const Value* value = node.input(i);
      if (!rule.is_data(i) || value == nullptr || value->constant() != nullptr) continue;
      (comes_as_integers(value) ? integers : floats).push_back(value);
    }
    return std::ranges::any_of(integers, [&](const Value* large) {
      return std::ranges::all_of(floats,
                                 [&](const Value* value) { return is_broadcast(*value, *large); });
    });
  }

  // ONNX Runtime 1.31 takes a DequantizeLinear along with what moves its output, which goes wrong
  // where a branch or a loop captures that (it aborts), and where it turns int8 into uint8 (it
  // refuses the model). What is moved there, is moved as integers: of what reads one rounded value,
  // whether it is to stay in float or not, that makes no other numbers.
  void keep_moves_in_integers(Node* node) {
    const QuantRule* rule = quant_rule(*node);
    if (!options_.activations || rule == nullptr || rule->kind != QuantKind::kSharesRange ||
        done_.contains(node) || (kept_.contains(node) && node->is("Concat")) ||
        !is_float_tensor(node->output()) || !placement_.quantizes(node->input(0))) {
      return;
    }
    const auto& uses = node->output()->uses();
    const bool captured = std::ranges::any_of(
        uses, [&](const Use& use) { return use.node->graph() != node->graph(); });
    const Node* producer = node->input(0)->producer();
    const bool rounded = producer != nullptr && placement_.makes_integers(producer);
    if (captured || (rounded && options_.moves_integers)) quantize_follower(node, *rule);
  }

  bool comes_as_integers(const Value* value) const {
    if (!placement_.quantizes(value)) return false;
    const Node* producer = placement_.source(value)->producer();
    return producer != nullptr && placement_.makes_integers(producer);
  }

  void quantize_follower(Node* node, const QuantRule& rule) {
    for (size_t i = 0; i < node->num_inputs(); ++i) {
      if (!rule.is_data(i)) continue;
      if (!is_float_tensor(node->input(i))) return;
      if (!holds_infinity(node->input(i))) continue;
      reasons_[node] = "its constant '" + node->input(i)->name() + "' holds an infinity";
      return;
    }
    if (rule.kind == QuantKind::kSharesRange && node->input(0)->constant() != nullptr) return;
    for (size_t i = 0; i < node->num_inputs(); ++i) {
      if (rule.is_data(i)) mark(node->input(i));
    }
    placement_.nodes.push_back(node);
    placement_.in_integers_.insert(node);
    done_.insert(node);
    const bool average = node->is("AveragePool") || node->is("GlobalAveragePool");
    if (rule.kind == QuantKind::kOwnRange && !(average && options_.averages_keep_scale)) {
      Node* tail = fuse(node);
      placement_.makes_integers_.insert(tail);
      mark(tail->output());
    } else {
      placement_.makes_integers_.insert(node);
      share_range(node);
    }
  }

  void share_range(Node* node) {
    for (Value* output : node->outputs()) {
      if (is_float_tensor(output)) mark(output);
    }
    if (node->is("Concat")) {
      placement_.concats.push_back(node);
      return;
    }
    for (const Value* output : node->outputs()) {
      if (is_float_tensor(output)) placement_.sources_[output] = node->input(0);
    }
  }

  // Takes the nodes fused behind `node` as done with it; returns the last.
  Node* fuse(Node* node) {
    Node* tail = fused_tail(node, kept_);
    for (Node* fused = node; fused != tail;) {
      fused = fused->output()->uses().front().node;
      fused_.insert(fused);
      placement_.in_integers_.insert(fused);
      done_.insert(fused);
    }
    return tail;
  }

  // Quantizes a value; where it is only moved data, what it was moved from too, so that the move
  // itself works on the smaller elements.
  void mark(Value* value) {
    if (!placement_.sources_.emplace(value, value).second) return;
    Node* producer = value->producer();
    if (producer == nullptr) return;
    const QuantRule* rule = quant_rule(*producer);
    const bool moves = rule != nullptr && rule->kind == QuantKind::kSharesRange &&
                       !kept_.contains(producer) && !done_.contains(producer);
    if (moves) quantize_follower(producer, *rule);
  }

  void list_islands(const Graph& graph) {
    for (const Node* node : graph.nodes()) {
      // What a node with graphs in it does is told by the nodes in them.
      const bool done = done_.contains(node) && !kept_.contains(node) && !reasons_.contains(node);
      if (done || node->is("Constant") || !node->nested_graphs().empty()) continue;
      if (!is_float_tensor(node->output()) && !has_other_floats(*node)) continue;
      const char* but =
          with_weights_.contains(node) ? "; its weights are integers all the same" : "";
      placement_.islands.push_back({node, reason(*node) + but});
    }
  }

  // A layer that would be quantized if it were of float32.
  static bool has_other_floats(const Node& node) {
    const QuantRule* rule = quant_rule(node);
    const Value* output = node.output();
    return rule != nullptr && output != nullptr && is_floating(output->type.dtype) &&
           (rule->kind == QuantKind::kWeighted || rule->kind == QuantKind::kHoldsWeights);
  }

  std::string reason(const Node& node) const {
    if (auto kept = kept_.find(&node); kept != kept_.end()) return kept->second;
    if (auto own = reasons_.find(&node); own != reasons_.end()) return own->second;
    const QuantRule* rule = quant_rule(node);
    if (rule == nullptr) return "no int8 form of " + node.op_type;
    if (node.is("Einsum")) return "it sums over no matrix of float32 constants";
    if (rule->kind == QuantKind::kHoldsWeights) return "its weights are no float32 constants";
    if (!options_.activations) {
      return rule->kind == QuantKind::kWeighted ? "its weights are no float32 constants"
                                                : "has no weights";
    }
    if (rule->kind == QuantKind::kWeighted) return "an input is not a float32 tensor";
    for (const Value* input : node.inputs()) {
      if (holds_infinity(input)) return "its constant '" + input->name() + "' holds an infinity";
    }
    return "its inputs come in float";
  }

  Graph& graph_;
  const KeptFloat& kept_;
  const StoredWeights& stored_;
  const PlacementOptions& options_;
  Placement placement_;
  std::unordered_set<const Node*> fused_, done_, with_weights_;
  KeptFloat reasons_;
};

}  // namespace

Node* WeightSite::transpose() const {
  const Value* read = node->input(static_cast<size_t>(input));
  const bool product = (node->is("MatMul") || node->is("Gemm")) && input == 1;
  if (!product || read == nullptr || read->producer() == nullptr) return nullptr;
  return turns_matrix(*read->producer()) ? read->producer() : nullptr;
}

Value* WeightSite::weights() const {
  const Node* turned = transpose();
  return turned != nullptr ? turned->input(0) : node->input(static_cast<size_t>(input));
}

WeightAxes WeightSite::axes() const {
  WeightAxes axes = weight_axes(*node, input, weights()->constant()->rank());
  if (transpose() != nullptr) std::swap(axes.channels, axes.summed);
  return axes;
}

const Value* Placement::source(const Value* value) const {
  const Value* at = value;
  while (sources_.at(at) != at) at = sources_.at(at);
  return at;
}

Node* fused_tail(Node* node, const KeptFloat& kept) {
  const bool product = node->is("MatMul");
  for (;;) {
    Value* output = node->output();
    if (output->is_graph_output() || output->uses().size() != 1) return node;
    Node* next = output->uses().front().node;
    if (next->graph() != node->graph() || kept.contains(next)) return node;
    const bool clips = next->is("Relu") || (next->is("Clip") && output->uses().front().input == 0);
    const bool bias = product && node->is("MatMul") && is_bias_add(*next, output);
    if (!clips && !bias) return node;
    node = next;
    if (clips) return node;
  }
}

namespace {

// A node that needs `weights`, which are those of some of `sites`, in float.
const Node* float_reader(const Value* weights, const Placement& placement,
                         const std::set<std::pair<const Node*, int>>& sites) {
  if (placement.quantizes(weights)) return nullptr;
  for (const Use& use : weights->uses()) {
    if (sites.contains({use.node, static_cast<int>(use.input)})) continue;
    if (turns_matrix(*use.node) && !use.node->output()->is_graph_output()) {
      const Node* reader = float_reader(use.node->output(), placement, sites);
      if (reader != nullptr) return reader;
      continue;
    }
    return use.node;
  }
  return nullptr;
}

// Nodes whose weights would be in the file as integers and in float.
KeptFloat doubled_weights(const Placement& placement) {
  std::set<std::pair<const Node*, int>> sites;
  for (const WeightSite& site : placement.weights) sites.emplace(site.node, site.input);
  KeptFloat doubled;
  std::unordered_map<const Value*, const Node*> readers;  // many sites may share their weights
  for (const WeightSite& site : placement.weights) {
    auto [found, added] = readers.try_emplace(site.weights());
    if (added) found->second = float_reader(site.weights(), placement, sites);
    const Node* reader = found->second;
    if (reader == nullptr) continue;
    doubled.emplace(site.node, reader->op_type + " '" + handle(*reader) +
                                   "' reads its weights in float: integers beside them would only "
                                   "add to the file");
  }
  return doubled;
}

}  // namespace

Placement place_quantization(const Model& model, const KeptFloat& kept,
                             const PlacementOptions& options, const StoredWeights& stored) {
  KeptFloat all = kept;
  StoredWeights still_stored = stored;
  for (;;) {
    Placement placement = Placer(model, all, options, still_stored).run();
    const KeptFloat alone = beside_softmax_of_one(model, placement, all);
    const KeptFloat doubled = doubled_weights(placement);
    if (alone.empty() && doubled.empty()) return placement;
    all.insert(alone.begin(), alone.end());
    for (const auto& [node, reason] : alone) still_stored.insert(node);
    all.insert(doubled.begin(), doubled.end());
    for (const auto& [node, reason] : doubled) still_stored.erase(node);
  }
}

}  // namespace dwindle::passes
