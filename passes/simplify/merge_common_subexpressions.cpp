// merge-common-subexpressions: computes once what is computed twice.
//
// One walk in the order of the nodes: a node that does the same to the same values as one before it
// (op, attributes, inputs) gives way to that one, so that what reads it may meet its like in turn.
//
// Does nothing for random ops, for ops not in the operator table, for nodes with nested graphs, and
// where both make a graph output. A nested graph is searched by itself: a branch or a loop body is
// never joined to another.
#include <algorithm>
#include <functional>
#include <unordered_map>

#include "core/ops/op.h"
#include "passes/simplify/hash.h"
#include "passes/simplify/rewrite.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

bool is_candidate(const Model& model, const Node& node) {
  const int opset = opset_or_zero(model, node);
  const OpRow* row = opset == 0 ? nullptr : find_op(node.domain, node.op_type, opset);
  if (row == nullptr || (row->traits & (kRandom | kHasGraphs)) != 0) return false;
  // A Dropout in training mode draws a mask.
  return !node.is("Dropout") && node.nested_graphs().empty() && node.num_outputs() > 0;
}

uint64_t hash_of_node(const Node& node) {
  uint64_t hash = std::hash<std::string>()(node.op_type);
  hash = mix(hash, node.num_outputs());
  for (const Value* input : node.inputs()) hash = mix(hash, reinterpret_cast<uintptr_t>(input));
  // Attributes are a set: their order must not matter.
  uint64_t attributes = 0;
  for (const Attribute& attribute : node.attributes()) attributes += hash_of(attribute);
  return mix(hash, attributes);
}

bool same_computation(const Node& a, const Node& b) {
  if (a.op_type != b.op_type || a.domain != b.domain || a.overload != b.overload) return false;
  if (a.num_outputs() != b.num_outputs() || a.inputs() != b.inputs()) return false;
  for (size_t i = 0; i < a.num_outputs(); ++i) {
    // Which outputs are made can decide what is computed.
    if ((a.output(i) == nullptr) != (b.output(i) == nullptr)) return false;
  }
  if (a.attributes().size() != b.attributes().size()) return false;
  return std::all_of(a.attributes().begin(), a.attributes().end(), [&](const Attribute& attribute) {
    const Attribute* other = b.attribute(attribute.name);
    return other != nullptr && equal(attribute, *other);
  });
}

// Makes what reads `node` read `first`. False where a graph output stands against it.
bool replace_by(Node& node, Node& first) {
  for (size_t i = 0; i < node.num_outputs(); ++i) {
    Value *old = node.output(i), *by = first.output(i);
    if (old != nullptr && !node.graph()->can_replace(old, by)) return false;
  }
  bool all = true;
  for (size_t i = 0; i < node.num_outputs(); ++i) {
    if (node.output(i) != nullptr) all &= bypass(*node.output(i), *first.output(i));
  }
  return all && erase_if_unused(node);
}

int64_t merge_in(const Model& model, Graph& graph) {
  std::unordered_map<uint64_t, std::vector<Node*>> seen;
  int64_t merged = 0;
  for (Node* node : graph.nodes()) {
    if (!is_candidate(model, *node)) continue;
    std::vector<Node*>& likely = seen[hash_of_node(*node)];
    const auto first = std::find_if(likely.begin(), likely.end(),
                                    [&](Node* other) { return same_computation(*other, *node); });
    if (first != likely.end() && replace_by(*node, **first)) {
      ++merged;
    } else {
      likely.push_back(node);
    }
  }
  graph.sweep();
  return merged;
}

struct MergeCommonSubexpressions : Pass {
  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    int64_t& merged = result.counts["merged"];
    for_each_graph(*model.graph, [&](Graph& graph) { merged += merge_in(model, graph); });
    result.changed = merged > 0;
    return result;
  }
};

}  // namespace

std::unique_ptr<Pass> make_merge_common_subexpressions(const Options&) {
  return std::make_unique<MergeCommonSubexpressions>();
}

}  // namespace dwindle::passes
