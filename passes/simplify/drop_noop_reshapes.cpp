// drop-noop-reshapes: drops Reshape, Flatten, Squeeze and Unsqueeze that change nothing, and merges
// them where one follows another.
//
// All four keep the elements in order, so only the last shape of a row counts. A merged node is a
// Reshape to that shape, with -1 for the one extent that may be unknown.
//
// Does nothing where the shapes are not known well enough or the value between has other users.
#include <algorithm>

#include "passes/simplify/rewrite.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

bool reshapes(const Model& model, const Node& node) {
  if (node.input(0) == nullptr) return false;
  return is_op(model, node, "Reshape", 5) || is_op(model, node, "Flatten") ||
         is_op(model, node, "Squeeze") || is_op(model, node, "Unsqueeze");
}

// Whether the shapes are the same, given that the number of elements is.
bool keeps_shape(const Value& from, const Value& to) {
  if (!from.type.shape || !to.type.shape || from.type.shape->size() != to.type.shape->size()) {
    return false;
  }
  size_t unsure = 0;
  bool maybe_empty = false;
  for (size_t i = 0; i < from.type.shape->size(); ++i) {
    const Dim &a = (*from.type.shape)[i], &b = (*to.type.shape)[i];
    if (!a.same(b)) {
      ++unsure;
    } else {
      // Beside an extent of 0 the others are open.
      maybe_empty |= !a.known() || a.extent == 0;
    }
  }
  return unsure == 0 || (unsure == 1 && !maybe_empty);
}

// A Reshape target that makes `shape`: at most one unknown extent, as -1, and no 0 beside it.
std::optional<std::vector<int64_t>> target_of(const Value& value) {
  if (!value.type.shape) return std::nullopt;
  std::vector<int64_t> target;
  for (const Dim& dim : *value.type.shape) {
    if (dim.extent == 0) return std::nullopt;
    target.push_back(dim.known() ? dim.extent : -1);
  }
  if (std::count(target.begin(), target.end(), -1) > 1) return std::nullopt;
  return target;
}

bool has_own_target(const Node& node) {
  if (!node.is("Reshape")) return false;
  const auto target = constant_integers(node.input(1));
  return target && std::find(target->begin(), target->end(), 0) == target->end();
}

bool merge(Model& model, Node& second) {
  Node* first = private_producer(second, 0);
  if (first == nullptr || !reshapes(model, *first) || opset_or_zero(model, second) < 5)
    return false;
  if (!has_own_target(second)) {
    const auto target = target_of(*second.output());
    if (!target) return false;
    const auto rank = static_cast<int64_t>(target->size());
    second.op_type = "Reshape";
    second.attributes().clear();
    second.resize_inputs(1);
    second.add_input(add_constant(model, *second.graph(), second.output()->name() + "_shape",
                                  Tensor::of<int64_t>({rank}, *target)));
  }
  second.set_input(0, first->input(0));
  erase_if_unused(*first);
  return true;
}

struct DropNoopReshapes : Pass {
  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    int64_t &dropped = result.counts["dropped"], &merged = result.counts["merged"];
    for_each_node(*model.graph, [&](Node& node) {
      if (!reshapes(model, node)) return;
      while (merge(model, node)) ++merged;
      if (!keeps_shape(*node.input(0), *node.output())) return;
      if (!bypass(*node.output(), *node.input(0))) return;
      node.graph()->erase(&node);
      ++dropped;
    });
    result.changed = dropped + merged > 0;
    return result;
  }
};

}  // namespace

std::unique_ptr<Pass> make_drop_noop_reshapes(const Options&) {
  return std::make_unique<DropNoopReshapes>();
}

}  // namespace dwindle::passes
