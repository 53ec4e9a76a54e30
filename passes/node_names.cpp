#include "passes/node_names.h"

#include <fnmatch.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>

#include "core/support/error.h"
#include "core/support/list_names.h"
#include "core/support/nearest.h"
#include "passes/quantize/quant_rules.h"

namespace dwindle::passes {
namespace {

constexpr size_t kNearest = 5;

// What simplify merges into other nodes, rather than drop it or compute it beforehand.
constexpr std::string_view kMergedOps[] = {"Add",           "BatchNormalization",
                                           "Clip",          "Conv",
                                           "ConvTranspose", "Div",
                                           "Gemm",          "MatMul",
                                           "Mul",           "Pad",
                                           "Relu",          "Sub"};
constexpr std::string_view kClips[] = {"Clip", "Relu"};
constexpr std::string_view kPools[] = {"AveragePool", "MaxPool"};

bool is_one_of(const Node& node, std::span<const std::string_view> ops) {
  return node.domain.empty() && std::ranges::find(ops, node.op_type) != ops.end();
}

std::vector<const Node*> all_nodes(Graph& graph) {
  std::vector<const Node*> nodes;
  for_each_graph(graph, [&](Graph& nested) {
    for (const Node* node : nested.nodes()) nodes.push_back(node);
  });
  return nodes;
}

bool is_constant(const Value* value) {
  return value == nullptr || value->constant() != nullptr || value->initializer() != nullptr;
}

// Where the nodes of the original have gone.
class Successors {
 public:
  Successors(const Model& model, const Model& original) : model_(model), original_(original) {
    for (const Node* node : all_nodes(*model.graph)) living_[handle(*node)] = node;
    for (const Node* node : all_nodes(*original.graph)) given_.insert(handle(*node));
  }

  std::vector<const Node*> of(const Node& node) const {
    if (original_.function_of(node) != nullptr) return inlined(node.name + "/", "");
    const Graph* root = node.graph();
    while (root->parent() != nullptr) root = root->parent();
    if (node.is("Attention")) return expanded(handle(node), root != original_.graph.get());
    if (root != original_.graph.get()) return inlined("", "/" + node.name);
    if (root != node.graph()) return {};
    const Node* heir = heir_of(node);
    return heir == nullptr ? std::vector<const Node*>() : std::vector<const Node*>{heir};
  }

 private:
  // Nodes out of functions are called after the call and the node of the function.
  std::vector<const Node*> inlined(const std::string& start, const std::string& end) const {
    std::vector<const Node*> found;
    for (const auto& [name, node] : living_) {
      if (start != "/" && end != "/" && name.starts_with(start) && name.ends_with(end)) {
        found.push_back(node);
      }
    }
    return found;
  }

  // expand-attention calls what it writes after the node; in front of that may be a call.
  std::vector<const Node*> expanded(const std::string& name, bool in_function) const {
    std::vector<const Node*> found;
    for (const auto& [living, node] : living_) {
      const bool after = living.starts_with(name + "/") ||
                         (in_function && living.find("/" + name + "/") != std::string::npos);
      if (after && !given_.contains(living)) found.push_back(node);
    }
    return found;
  }

  const Node* heir_of(const Node& gone) const {
    if (!is_one_of(gone, kMergedOps)) return nullptr;
    // Arithmetic behind a layer goes into it, all else into what is behind.
    const Node* heir = gone.is("Pad") ? nullptr : before(gone);
    return heir != nullptr ? heir : behind(gone);
  }

  const Node* before(const Node& gone) const {
    const Node* node = &gone;
    while (const Value* data = only_data(*node)) {
      node = data->producer();
      if (node == nullptr || data->uses().size() != 1) return nullptr;
      const auto living = living_.find(handle(*node));
      if (living != living_.end()) return accepts(*living->second, gone) ? living->second : nullptr;
    }
    return nullptr;
  }

  const Node* behind(const Node& gone) const {
    const Node* node = &gone;
    while (node->output() != nullptr && node->graph() == original_.graph.get()) {
      const Value* output = node->output();
      const Value* now = model_.graph->find(output->name());
      if (now != nullptr && now->producer() != nullptr) {
        return accepts(*now->producer(), gone) ? now->producer() : nullptr;
      }
      if (output->uses().size() != 1) return nullptr;
      node = output->uses().front().node;
      // A layer does not become part of what reads other data beside it.
      if (only_data(*node) != output) return nullptr;
    }
    return nullptr;
  }

  // The only input that is no constant; null where there are more.
  static const Value* only_data(const Node& node) {
    const Value* data = nullptr;
    for (const Value* input : node.inputs()) {
      if (is_constant(input)) continue;
      if (data != nullptr) return nullptr;
      data = input;
    }
    return data;
  }

  static bool accepts(const Node& heir, const Node& gone) {
    if (is_one_of(gone, kClips)) return is_one_of(heir, kClips);
    const QuantRule* rule = quant_rule(heir);
    const bool layer = rule != nullptr && rule->kind == QuantKind::kWeighted;
    return layer || (gone.is("Pad") && is_one_of(heir, kPools));
  }

  const Model& model_;
  const Model& original_;
  std::map<std::string, const Node*> living_;
  std::set<std::string> given_;  // names in the original
};

[[noreturn]] void unknown(const std::string& option, std::string pattern,
                          const std::set<std::string>& known) {
  const std::string given = pattern;
  std::erase_if(pattern,
                [](char c) { return std::string_view("*?[]!\\").find(c) != std::string::npos; });
  const std::vector<std::string> names(known.begin(), known.end());
  const std::string near = did_you_mean(pattern, names, kNearest);
  throw BadOption(option + ": no node has a name that matches '" + given + "'" +
                  (near.empty() ? "; nodes are called " + list_names(known, kNearest) : near));
}

}  // namespace

bool name_matches(const std::string& pattern, const std::string& name) {
  // A name may hold what a glob gives a meaning: brackets.
  return pattern == name || fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

std::string handle(const Node& node) {
  if (!node.name.empty() || node.output() == nullptr) return node.name;
  return node.output()->name();
}

MatchedNodes matching_nodes(const Model& model, const Model* original,
                            const std::vector<std::string>& patterns, const std::string& option) {
  MatchedNodes result;
  if (patterns.empty()) return result;
  const std::vector<const Node*> living = all_nodes(*model.graph);
  std::set<std::string> living_names, known;
  for (const Node* node : living) living_names.insert(handle(*node));
  known = living_names;
  std::vector<const Node*> gone;
  auto note_gone = [&](Graph& graph) {
    for (const Node* node : all_nodes(graph)) {
      known.insert(handle(*node));
      if (!living_names.contains(handle(*node))) gone.push_back(node);
    }
  };
  if (original != nullptr) {
    note_gone(*original->graph);
    for (const Function& function : original->functions) note_gone(*function.graph);
  }
  known.erase("");
  const Successors successors(model, original == nullptr ? model : *original);
  for (const std::string& pattern : patterns) {
    bool any = false;
    for (const Node* node : living) {
      if (!name_matches(pattern, handle(*node))) continue;
      result.nodes.insert(node);
      any = true;
    }
    std::set<std::string> merged, into, lost;
    for (const Node* node : gone) {
      if (!name_matches(pattern, handle(*node))) continue;
      const std::vector<const Node*> heirs = successors.of(*node);
      (heirs.empty() ? lost : merged).insert(handle(*node));
      for (const Node* heir : heirs) {
        result.nodes.insert(heir);
        into.insert(handle(*heir));
      }
    }
    if (!any && merged.empty() && lost.empty()) unknown(option, pattern, known);
    const std::string place = option + " '" + pattern + "': ";
    if (!merged.empty()) {
      result.notes.push_back(place + list_names(merged) + " went into " + list_names(into) +
                             " when the model was simplified");
    } else if (!any) {
      result.notes.push_back(place + "simplified, the model has no such node any more (" +
                             list_names(lost) + ")");
    }
  }
  return result;
}

std::unordered_set<const Node*> expanded_attentions(const Model& model, const Model& original) {
  const Successors successors(model, original);
  std::unordered_set<const Node*> found;
  auto add = [&](Graph& graph) {
    for (const Node* node : all_nodes(graph)) {
      if (!node->is("Attention")) continue;
      for (const Node* heir : successors.of(*node)) found.insert(heir);
    }
  };
  add(*original.graph);
  for (const Function& function : original.functions) add(*function.graph);
  return found;
}

}  // namespace dwindle::passes
