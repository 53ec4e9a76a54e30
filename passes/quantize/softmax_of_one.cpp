#include "passes/quantize/softmax_of_one.h"

#include <vector>

#include "passes/quantize/quant_rules.h"

namespace dwindle::passes {
namespace {

// Of version 13 and up, which quantization asks for.
bool may_be_softmax_of_one(const Node& node) {
  if (!node.is("Softmax") || node.input(0) == nullptr) return false;
  const auto& shape = node.input(0)->type.shape;
  if (!shape || shape->empty()) return true;
  const auto rank = static_cast<int64_t>(shape->size());
  const int64_t axis = node.int_attribute("axis", -1);
  if (axis < -rank || axis >= rank) return true;
  const Dim& dim = (*shape)[static_cast<size_t>(axis < 0 ? axis + rank : axis)];
  return !dim.known() || dim.extent <= 1;
}

// The nodes that read `value` or what is moved from it.
void add_readers(const Value* value, std::vector<const Node*>& readers) {
  for (const Use& use : value->uses()) {
    const QuantRule* rule = quant_rule(*use.node);
    const bool moves = rule != nullptr && rule->kind == QuantKind::kSharesRange;
    if (moves && !use.node->is("Concat")) {
      add_readers(use.node->output(), readers);
    } else {
      readers.push_back(use.node);
    }
  }
}

}  // namespace

KeptFloat beside_softmax_of_one(const Model& model, const Placement& placement,
                                const KeptFloat& kept) {
  KeptFloat more;
  auto keep = [&](const Node* node) {
    if (kept.contains(node)) return;
    more.emplace(node,
                 "a Softmax that may be of one element stands beside it: between integers, ONNX "
                 "Runtime makes 0 of that");
  };
  for_each_graph(*model.graph, [&](Graph& graph) {
    for (const Node* node : graph.nodes()) {
      if (!may_be_softmax_of_one(*node) || !placement.quantizes(node->input(0)) ||
          !placement.quantizes(node->output())) {
        continue;
      }
      const Node* before = node->input(0)->producer();
      const QuantRule* rule = before == nullptr ? nullptr : quant_rule(*before);
      if (rule != nullptr && rule->kind == QuantKind::kOwnRange &&
          node->input(0)->uses().size() == 1 && !kept.contains(before)) {
        keep(before);
        continue;
      }
      std::vector<const Node*> readers;
      add_readers(node->output(), readers);
      for (const Node* reader : readers) keep(reader);
    }
  });
  return more;
}

}  // namespace dwindle::passes
