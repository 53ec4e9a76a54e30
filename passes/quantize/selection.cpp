#include "passes/quantize/selection.h"

#include <algorithm>
#include <set>
#include <unordered_set>

#include "core/support/error.h"
#include "core/support/nearest.h"
#include "passes/node_names.h"

namespace dwindle::passes {
namespace {

using Strings = std::vector<std::string>;

template <typename Visit>
void for_each_node(const Model& model, Visit&& visit) {
  for_each_graph(*model.graph, [&](Graph& graph) {
    for (Node* node : graph.nodes()) visit(node);
  });
}

bool is_weighted(const Node& node) {
  const QuantRule* rule = quant_rule(node);
  return rule != nullptr && rule->kind == QuantKind::kWeighted;
}

// Types are those of `original` (may be null) as well: a Gemm that simplify made of a MatMul counts
// as both, and what an Attention was expanded to as that too.
void keep_other_types(const Model& model, const Model* original, const Strings& types,
                      KeptFloat& kept) {
  if (types.empty()) return;
  std::set<std::string> known, given_gemms;
  for_each_node(model, [&](Node* node) { known.insert(node->op_type); });
  for_each_node(original == nullptr ? model : *original, [&](Node* node) {
    known.insert(node->op_type);
    if (node->is("Gemm")) given_gemms.insert(handle(*node));
  });
  std::unordered_set<const Node*> attentions;
  if (original != nullptr) attentions = expanded_attentions(model, *original);
  if (!attentions.empty()) known.insert("Attention");
  for (const std::string& type : types) {
    if (known.contains(type)) continue;
    throw BadOption("op-types: the model has no " + type + " node" +
                    did_you_mean(type, Strings(known.begin(), known.end())));
  }
  auto listed = [&](const std::string& type) {
    return std::find(types.begin(), types.end(), type) != types.end();
  };
  for_each_node(model, [&](Node* node) {
    const bool was_matmul = node->is("Gemm") && !given_gemms.contains(handle(*node));
    if (listed(node->op_type) || (was_matmul && listed("MatMul"))) return;
    if (attentions.contains(node) && listed("Attention")) return;
    kept.emplace(node, "not among op-types");
  });
}

// Weighted nodes that a walk from the ends of the graph meets first: they see the data as it comes
// (`from_inputs`), or make the answer.
std::unordered_set<const Node*> outermost(const Graph& graph, bool from_inputs) {
  std::unordered_set<const Node*> found, visited;
  std::vector<const Value*> open =
      from_inputs ? std::vector<const Value*>(graph.inputs().begin(), graph.inputs().end())
                  : std::vector<const Value*>(graph.outputs().begin(), graph.outputs().end());
  auto reach = [&](const Node* node) {
    if (node == nullptr || !visited.insert(node).second) return;
    if (is_weighted(*node)) {
      found.insert(node);
    } else if (from_inputs) {
      for (const Value* output : node->outputs()) open.push_back(output);
    } else {
      for (const Value* input : node->inputs()) open.push_back(input);
    }
  };
  while (!open.empty()) {
    const Value* value = open.back();
    open.pop_back();
    if (value == nullptr) continue;
    if (!from_inputs) {
      reach(value->producer());
      continue;
    }
    for (const Use& use : value->uses()) reach(use.node);
  }
  return found;
}

}  // namespace

std::vector<OptionSpec> selection_option_specs() {
  return {
      {"op-types", Strings{}, "quantize only nodes of this type", {}},
      {"include",
       Strings{},
       "glob of names of nodes, as they are before or after simplify: quantize only these",
       {}},
      {"exclude",
       Strings{},
       "glob of names of nodes, as they are before or after simplify, to leave in float",
       {}},
      {"first-last",
       std::string("int8"),
       "what the first and last layers with weights become",
       {"int8", "float"}},
  };
}

Selection select_nodes(const Model& model, const Model* original, const Options& options) {
  Selection selection;
  auto take = [&](const char* option) {
    MatchedNodes matched = matching_nodes(model, original, options.get<Strings>(option), option);
    std::move(matched.notes.begin(), matched.notes.end(), std::back_inserter(selection.notes));
    return std::move(matched.nodes);
  };
  for (const Node* node : take("exclude")) selection.kept.emplace(node, "excluded");
  if (!options.get<Strings>("include").empty()) {
    const auto included = take("include");
    for_each_node(model, [&](Node* node) {
      if (!included.contains(node)) selection.kept.emplace(node, "not included");
    });
  }
  keep_other_types(model, original, options.get<Strings>("op-types"), selection.kept);
  if (options.get<std::string>("first-last") == "float") {
    for (bool from_inputs : {true, false}) {
      for (const Node* node : outermost(*model.graph, from_inputs)) {
        selection.kept.emplace(node, from_inputs ? "a first layer" : "a last layer");
      }
    }
  }
  return selection;
}

}  // namespace dwindle::passes
