#include "passes/simplify/rewrite.h"

#include <algorithm>

namespace dwindle::passes {

int opset_or_zero(const Model& model, const Node& node) {
  auto imported = model.opsets.find(node.domain);
  if (imported == model.opsets.end() || model.function_of(node) != nullptr) return 0;
  return static_cast<int>(imported->second);
}

bool is_op(const Model& model, const Node& node, std::string_view type, int since) {
  return node.is(type) && node.output() != nullptr && opset_or_zero(model, node) >= since;
}

Value* add_constant(Model& model, Graph& graph, const std::string& name_hint, Tensor tensor) {
  model.ir_version = std::max<int64_t>(model.ir_version, 4);
  return graph.add_initializer(name_hint, std::move(tensor));
}

void replace_constant(Model& model, Node& node, size_t i, const std::string& name_hint,
                      Tensor tensor) {
  Value* old = node.input(i);
  Value* by = add_constant(model, *node.graph(), old == nullptr ? name_hint : old->name(),
                           std::move(tensor));
  node.set_input(i, by);
  if (old == nullptr || !old->unused() || old->producer() != nullptr) return;
  if (old->is_graph_input()) return;
  take_name(*old, *by);
  old->graph()->erase(old);
}

bool bypass(Value& old, Value& by) {
  Graph& graph = *old.graph();
  if (!graph.can_replace(&old, &by)) return false;
  if (by.producer() != nullptr && !by.is_graph_output() && !by.type.shape && by.type.is_tensor()) {
    by.type.shape = old.type.shape;
  }
  graph.replace(&old, &by);
  return true;
}

void take_name(Value& old, Value& by) {
  const bool fixed = old.is_graph_output() || by.is_graph_output() || by.is_graph_input();
  if (fixed || old.graph() != by.graph()) return;
  const std::string name = old.name();
  old.rename(old.graph()->fresh_name(name));
  by.rename(name);
}

Node* sole_user(const Value& value) {
  if (value.uses().size() != 1 || value.is_graph_output()) return nullptr;
  Node* user = value.uses().front().node;
  return user->graph() == value.graph() ? user : nullptr;
}

Node* private_producer(const Node& node, size_t i) {
  const Value* value = node.input(i);
  if (value == nullptr || value->producer() == nullptr) return nullptr;
  return sole_user(*value) == &node ? value->producer() : nullptr;
}

std::optional<std::vector<int64_t>> constant_integers(const Value* value) {
  const Tensor* tensor = value == nullptr ? nullptr : value->constant();
  if (tensor == nullptr || !is_integer(tensor->dtype())) return std::nullopt;
  return to_int64s(*tensor);
}

std::optional<std::vector<int64_t>> integers_of(const Node& node, int opset, int last_attribute,
                                                const char* name, size_t i) {
  if (opset <= last_attribute) return node.ints_attribute(name).value_or(std::vector<int64_t>());
  if (node.input(i) == nullptr) return std::vector<int64_t>();
  return constant_integers(node.input(i));
}

bool same_shape(const Value& a, const Value& b) {
  if (!a.type.shape || !b.type.shape || a.type.shape->size() != b.type.shape->size()) return false;
  return std::equal(a.type.shape->begin(), a.type.shape->end(), b.type.shape->begin(),
                    [](const Dim& x, const Dim& y) { return x.same(y); });
}

bool erase_if_unused(Node& node) {
  for (const Value* output : node.outputs()) {
    if (output != nullptr && !output->unused()) return false;
  }
  node.graph()->erase(&node);
  return true;
}

}  // namespace dwindle::passes
