// Small steps that the passes of simplify share.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/ir/model.h"
#include "core/support/interrupt.h"

namespace dwindle::passes {

// Version of the operator set of `node`; 0 where the model imports none or `node` calls a local
// function, so that no comparison with a version holds.
int opset_or_zero(const Model& model, const Node& node);

// Whether `node` is the ai.onnx op `type` in a version of `since` at least, with its first output.
bool is_op(const Model& model, const Node& node, std::string_view type, int since = 1);

// A new initializer. Raises the model's IR version to 4 where it is lower: before, initializers had
// to be graph inputs as well.
Value* add_constant(Model& model, Graph& graph, const std::string& name_hint, Tensor tensor);

// Makes input i of `node` a new constant, which takes the name of the old one (or `name_hint`)
// where nothing else reads that; the old one is erased then.
void replace_constant(Model& model, Node& node, size_t i, const std::string& name_hint,
                      Tensor tensor);

// Makes all that reads `old` read `by`. False, with nothing changed, where that would take an
// Identity node: `old` is a graph output whose name `by` cannot have.
bool bypass(Value& old, Value& by);

// Gives `by` the name of `old`, which gets a spare one. Graph inputs and outputs keep theirs.
void take_name(Value& old, Value& by);

// The node that alone reads `value`, in the same graph; null where there is none, more than one, or
// the value is a graph output.
Node* sole_user(const Value& value);

// The node of the same graph that makes input i of `node` for it alone; null where there is none.
Node* private_producer(const Node& node, size_t i);

// The integers that `value` always holds.
std::optional<std::vector<int64_t>> constant_integers(const Value* value);

// Integers of attribute `name` up to opset `last_attribute`, later of input `i`. None where they
// are not constant; empty where they are not given.
std::optional<std::vector<int64_t>> integers_of(const Node& node, int opset, int last_attribute,
                                                const char* name, size_t i);

// Whether tensors of these types certainly have the same shape.
bool same_shape(const Value& a, const Value& b);

// Erases `node` where nothing reads its outputs. True where it did.
bool erase_if_unused(Node& node);

// Calls `visit(node)` for every node of `graph`, then of the graphs nested in it. `visit` may erase
// the node and change those before it; nodes inserted behind it are visited too.
template <typename Visit>
void for_each_node(Graph& graph, Visit&& visit) {
  for_each_graph(graph, [&](Graph& one) {
    for (Node* node : one.nodes()) {
      check_interrupted();
      visit(*node);
    }
    one.sweep();
  });
}

}  // namespace dwindle::passes
