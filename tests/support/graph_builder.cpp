#include "tests/support/graph_builder.h"

namespace dwindle::testing {

Value* GraphBuilder::input(const std::string& name, Shape shape, DType dtype) {
  Value* value = graph_.add_input(graph_.add_value(name));
  value->type = {dtype, std::move(shape), {}};
  return value;
}

Value* GraphBuilder::floats(const std::string& name, Dims dims, std::vector<float> values) {
  return constant(name, Tensor::of<float>(std::move(dims), values));
}

Value* GraphBuilder::ramp(const std::string& name, Dims dims, float first, float step) {
  std::vector<float> values(static_cast<size_t>(element_count(dims)));
  for (size_t i = 0; i < values.size(); ++i) values[i] = first + step * static_cast<float>(i);
  return floats(name, std::move(dims), std::move(values));
}

Value* GraphBuilder::ints(const std::string& name, std::vector<int64_t> values) {
  return constant(name, Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values));
}

Value* GraphBuilder::constant(const std::string& name, Tensor tensor) {
  Value* value = graph_.add_value(name);
  value->set_initializer(std::move(tensor));
  return value;
}

Value* GraphBuilder::node(const std::string& name, const std::string& op,
                          const std::vector<Value*>& inputs, const AttributeArguments& attributes) {
  return nodes({name}, op, inputs, attributes).front();
}

std::vector<Value*> GraphBuilder::nodes(const std::vector<std::string>& names,
                                        const std::string& op, const std::vector<Value*>& inputs,
                                        const AttributeArguments& attributes) {
  Node* node = graph_.add_node(op, inputs, 0);
  for (const std::string& name : names) {
    node->add_output(name.empty() ? nullptr : graph_.add_value(name));
  }
  for (const auto& [name, value] : attributes) {
    std::visit([&, &key = name](const auto& held) { node->set_attribute(key, held); }, value);
  }
  return node->outputs();
}

GraphBuilder GraphBuilder::nested(const std::string& attribute) {
  auto graph = std::make_unique<Graph>(&graph_);
  GraphBuilder builder(*graph);
  graph_.last_node()->set_attribute(attribute, std::move(graph));
  return builder;
}

}  // namespace dwindle::testing
