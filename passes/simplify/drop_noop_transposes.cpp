// drop-noop-transposes: drops Transpose that moves no axis, and merges Transpose in a row.
//
// Does nothing where the value between has other users, unless the two undo each other: then the
// second goes and the first stays for the others.
#include "passes/simplify/rewrite.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

using Permutation = std::vector<int64_t>;

// None where the node leaves it open and the rank is not known.
std::optional<Permutation> permutation_of(const Model& model, const Node& node) {
  if (!is_op(model, node, "Transpose") || node.input(0) == nullptr) return std::nullopt;
  if (auto given = node.ints_attribute("perm")) return given;
  const auto& shape = node.input(0)->type.shape;
  if (!shape) return std::nullopt;
  Permutation reversed;
  for (size_t i = shape->size(); i-- > 0;) reversed.push_back(static_cast<int64_t>(i));
  return reversed;
}

bool is_identity(const Permutation& permutation) {
  for (size_t i = 0; i < permutation.size(); ++i) {
    if (permutation[i] != static_cast<int64_t>(i)) return false;
  }
  return true;
}

class DropNoopTransposes : public Pass {
 public:
  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    int64_t &dropped = result.counts["dropped"], &merged = result.counts["merged"];
    for_each_node(*model.graph, [&](Node& node) {
      auto permutation = permutation_of(model, node);
      if (!permutation) return;
      if (undoes_producer(model, node, *permutation)) {
        ++dropped;
        return;
      }
      if (merge(model, node, *permutation)) ++merged;
      if (!is_identity(*permutation) || !bypass(*node.output(), *node.input(0))) return;
      node.graph()->erase(&node);
      ++dropped;
    });
    result.changed = dropped + merged > 0;
    return result;
  }

 private:
  // `second` after `first`.
  static std::optional<Permutation> composed(const Permutation& first, const Permutation& second) {
    if (first.size() != second.size()) return std::nullopt;
    Permutation both;
    for (int64_t axis : second) {
      if (axis < 0 || axis >= static_cast<int64_t>(first.size())) return std::nullopt;
      both.push_back(first[static_cast<size_t>(axis)]);
    }
    return both;
  }

  static bool undoes_producer(const Model& model, Node& node, const Permutation& permutation) {
    Node* first = node.input(0)->producer();
    const auto before = first == nullptr ? std::nullopt : permutation_of(model, *first);
    const auto both = before ? composed(*before, permutation) : std::nullopt;
    if (!both || !is_identity(*both) || !bypass(*node.output(), *first->input(0))) return false;
    node.graph()->erase(&node);
    if (first->graph() == node.graph()) erase_if_unused(*first);
    return true;
  }

  static bool merge(const Model& model, Node& node, Permutation& permutation) {
    Node* first = private_producer(node, 0);
    const auto before = first == nullptr ? std::nullopt : permutation_of(model, *first);
    const auto both = before ? composed(*before, permutation) : std::nullopt;
    if (!both) return false;
    permutation = *both;
    node.set_attribute("perm", permutation);
    node.set_input(0, first->input(0));
    erase_if_unused(*first);
    return true;
  }
};

}  // namespace

std::unique_ptr<Pass> make_drop_noop_transposes(const Options&) {
  return std::make_unique<DropNoopTransposes>();
}

}  // namespace dwindle::passes
