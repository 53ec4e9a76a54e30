#include <stdexcept>
#include <utility>

#include "core/ir/graph.h"
#include "core/support/error.h"

namespace dwindle {

Node::~Node() {
  for (size_t i = 0; i < inputs_.size(); ++i) detach(i);
}

std::vector<Value*> Node::inputs() const {
  std::vector<Value*> values;
  values.reserve(inputs_.size());
  for (const Input& input : inputs_) values.push_back(input.value);
  return values;
}

void Node::detach(size_t index) {
  Input& input = inputs_[index];
  if (input.value == nullptr) return;
  // The last use takes the free place, so that removal costs the same however many there are.
  std::vector<Use>& uses = input.value->uses_;
  const Use moved = uses.back();
  uses[input.place] = moved;
  moved.node->inputs_[moved.input].place = input.place;
  uses.pop_back();
  input.value = nullptr;
}

void Node::set_input(size_t index, Value* value) {
  if (index >= inputs_.size()) inputs_.resize(index + 1);
  detach(index);
  if (value == nullptr) return;
  inputs_[index] = {value, value->uses_.size()};
  value->uses_.push_back({this, index});
}

void Node::resize_inputs(size_t count) {
  for (size_t i = count; i < inputs_.size(); ++i) detach(i);
  inputs_.resize(count);
}

void Node::add_output(Value* value) {
  if (value != nullptr) {
    if (value->producer_ != nullptr || value->graph_input_ || value->initializer_ ||
        value->sparse_) {
      throw BadModel("value '" + value->name() + "' is defined twice" +
                     (name.empty() ? "" : ", once by node '" + name + "'"));
    }
    value->producer_ = this;
    value->output_index_ = outputs_.size();
  }
  outputs_.push_back(value);
}

void Node::drop_output(size_t index) {
  Value* value = outputs_[index];
  if (value == nullptr) return;
  if (!value->unused()) throw std::logic_error("drop_output: '" + value->name() + "' is used");
  value->producer_ = nullptr;
  outputs_[index] = nullptr;
  graph_->erase(value);
}

Value* Node::take_output(size_t index) {
  Value* value = std::exchange(outputs_[index], nullptr);
  if (value != nullptr) value->producer_ = nullptr;
  return value;
}

const Attribute* Node::attribute(std::string_view name) const {
  for (const Attribute& attribute : attributes_) {
    if (attribute.name == name) return &attribute;
  }
  return nullptr;
}

void Node::remove_attribute(std::string_view name) {
  std::erase_if(attributes_, [&](const Attribute& attribute) { return attribute.name == name; });
}

void Node::set_attribute(std::string name, Attribute::Value value) {
  for (Attribute& attribute : attributes_) {
    if (attribute.name == name) {
      attribute.value = std::move(value);
      attribute.reference.clear();
      return;
    }
  }
  Attribute attribute;
  attribute.name = std::move(name);
  attribute.value = std::move(value);
  attributes_.push_back(std::move(attribute));
}

template <typename T>
const T* Node::typed_attribute(std::string_view name, const char* type) const {
  const Attribute* found = attribute(name);
  if (found == nullptr) return nullptr;
  if (!found->reference.empty()) {
    throw Unsupported(op_type + " node '" + this->name + "': attribute '" + std::string(name) +
                      "' refers to one of the function that it is in");
  }
  const T* value = std::get_if<T>(&found->value);
  if (value == nullptr) {
    throw BadModel(op_type + " node '" + this->name + "': attribute '" + std::string(name) +
                   "' is not " + type);
  }
  return value;
}

int64_t Node::int_attribute(std::string_view name, int64_t otherwise) const {
  const auto* value = typed_attribute<int64_t>(name, "an integer");
  return value == nullptr ? otherwise : *value;
}

float Node::float_attribute(std::string_view name, float otherwise) const {
  const auto* value = typed_attribute<float>(name, "a float");
  return value == nullptr ? otherwise : *value;
}

std::string Node::string_attribute(std::string_view name, std::string otherwise) const {
  const auto* value = typed_attribute<std::string>(name, "a string");
  return value == nullptr ? otherwise : *value;
}

std::optional<std::vector<int64_t>> Node::ints_attribute(std::string_view name) const {
  const auto* value = typed_attribute<std::vector<int64_t>>(name, "a list of integers");
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::optional<std::vector<float>> Node::floats_attribute(std::string_view name) const {
  const auto* value = typed_attribute<std::vector<float>>(name, "a list of floats");
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::optional<std::vector<std::string>> Node::strings_attribute(std::string_view name) const {
  const auto* value = typed_attribute<std::vector<std::string>>(name, "a list of strings");
  return value == nullptr ? std::nullopt : std::optional(*value);
}

const Tensor* Node::tensor_attribute(std::string_view name) const {
  return typed_attribute<Tensor>(name, "a tensor");
}

Graph* Node::graph_attribute(std::string_view name) const {
  const auto* value = typed_attribute<std::unique_ptr<Graph>>(name, "a graph");
  return value == nullptr ? nullptr : value->get();
}

std::vector<Graph*> Node::nested_graphs() const {
  std::vector<Graph*> graphs;
  for (const Attribute& attribute : attributes_) {
    if (const auto* one = std::get_if<std::unique_ptr<Graph>>(&attribute.value)) {
      graphs.push_back(one->get());
    } else if (const auto* many =
                   std::get_if<std::vector<std::unique_ptr<Graph>>>(&attribute.value)) {
      for (const auto& graph : *many) graphs.push_back(graph.get());
    }
  }
  return graphs;
}

Node* Node::next() const {
  Node* node = next_;
  while (node != nullptr && node->erased_) node = node->next_;
  return node;
}

}  // namespace dwindle
