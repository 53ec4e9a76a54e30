#include "core/ir/model.h"

#include "core/support/error.h"

namespace dwindle {
namespace {

using ValueMap = std::unordered_map<const Value*, Value*>;

Value* copy_value(const Value& from, Graph& to, ValueMap& values, bool unique_names) {
  const bool keep = !unique_names && to.find(from.name()) == nullptr;
  Value* value = to.add_value(keep ? from.name() : to.fresh_name(from.name()));
  value->type = from.type;
  value->declared = from.declared;
  value->extra = from.extra;
  value->tensor_extra = from.tensor_extra;
  if (from.initializer() != nullptr) {
    value->set_initializer(*from.initializer());
    value->type = from.type;
  }
  if (from.sparse_initializer() != nullptr) {
    value->set_sparse_initializer(*from.sparse_initializer());
  }
  values.emplace(&from, value);
  return value;
}

std::unique_ptr<Graph> copy_nested(const Graph& from, Graph& parent, ValueMap& values,
                                   bool unique_names) {
  auto graph = std::make_unique<Graph>(&parent);
  copy_graph(from, *graph, values, unique_names);
  return graph;
}

Attribute copy_attribute(const Attribute& from, Graph& graph, ValueMap& values, bool unique_names) {
  Attribute to;
  to.name = from.name;
  to.reference = from.reference;
  to.type = from.type;
  to.extra = from.extra;
  std::visit(
      [&](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::unique_ptr<Graph>>) {
          to.value = copy_nested(*value, graph, values, unique_names);
        } else if constexpr (std::is_same_v<T, std::vector<std::unique_ptr<Graph>>>) {
          std::vector<std::unique_ptr<Graph>> graphs;
          for (const auto& nested : value) {
            graphs.push_back(copy_nested(*nested, graph, values, unique_names));
          }
          to.value = std::move(graphs);
        } else {
          to.value = value;
        }
      },
      from.value);
  return to;
}

}  // namespace

void copy_nodes(const Graph& from, Graph& to, ValueMap& values, Node* before, bool unique_names) {
  for (const Value* value : from.values()) {
    if (!values.contains(value)) copy_value(*value, to, values, unique_names);
  }
  auto mapped = [&](Value* value) {
    auto it = values.find(value);
    return it == values.end() ? value : it->second;
  };
  for (const Node* node : from.nodes()) {
    Node* copy = to.add_node(node->op_type, {}, 0, before);
    copy->domain = node->domain;
    copy->overload = node->overload;
    copy->name = node->name;
    copy->extra = node->extra;
    for (size_t i = 0; i < node->num_inputs(); ++i) {
      copy->set_input(i, node->input(i) == nullptr ? nullptr : mapped(node->input(i)));
    }
    for (Value* output : node->outputs()) {
      copy->add_output(output == nullptr ? nullptr : values.at(output));
    }
    for (const Attribute& attribute : node->attributes()) {
      copy->attributes().push_back(copy_attribute(attribute, to, values, unique_names));
    }
  }
}

void copy_graph(const Graph& from, Graph& to, ValueMap& values, bool unique_names) {
  to.name = from.name;
  to.extra = from.extra;
  copy_nodes(from, to, values, nullptr, unique_names);
  for (Value* input : from.inputs()) to.add_input(values.at(input));
  for (Value* output : from.outputs()) {
    auto it = values.find(output);
    to.add_output(it == values.end() ? output : it->second);
  }
}

int64_t Model::opset() const {
  auto it = opsets.find("");
  if (it == opsets.end()) throw BadModel("the model imports no version of the ai.onnx operators");
  return it->second;
}

const Function* Model::function_of(const Node& node) const {
  for (const Function& function : functions) {
    if (function.name == node.op_type && function.domain == node.domain &&
        function.overload == node.overload) {
      return &function;
    }
  }
  return nullptr;
}

Model Model::clone() const {
  ValueMap values;
  return clone(values);
}

Model Model::clone(ValueMap& values) const {
  Model copy;
  copy.ir_version = ir_version;
  copy.opsets = opsets;
  copy.metadata = metadata;
  copy.extra = extra;
  copy.file = file;
  copy.external_files = external_files;
  copy_graph(*graph, *copy.graph, values);
  for (const Function& function : functions) {
    Function to;
    to.domain = function.domain;
    to.name = function.name;
    to.overload = function.overload;
    to.attributes = function.attributes;
    to.opsets = function.opsets;
    to.extra = function.extra;
    to.graph = std::make_unique<Graph>();
    ValueMap inner;
    copy_graph(*function.graph, *to.graph, inner);
    for (const Attribute& attribute : function.default_attributes) {
      to.default_attributes.push_back(copy_attribute(attribute, *to.graph, inner, false));
    }
    copy.functions.push_back(std::move(to));
  }
  return copy;
}

}  // namespace dwindle
