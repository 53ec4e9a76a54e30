#include "passes/convert/node_writer.h"

#include <algorithm>

#include "passes/node_names.h"
#include "passes/simplify/rewrite.h"

namespace dwindle::passes {

NodeWriter::NodeWriter(Model& model, Node& node)
    : model_(model), node_(node), prefix_(handle(node)) {}

Value* NodeWriter::add(const std::string& op, const std::string& role,
                       const std::vector<Value*>& inputs, Attributes attributes) {
  Node* made = node_.graph()->add_node(op, inputs, 1, &node_, name_of(role));
  made->name = name_of(role);
  for (auto& [name, value] : attributes) made->set_attribute(name, std::move(value));
  written_.push_back(made);
  return made->output();
}

Value* NodeWriter::transpose(const std::string& role, Value* value, std::vector<int64_t> perm) {
  Attributes attributes;
  attributes.emplace_back("perm", std::move(perm));
  return add("Transpose", role, {value}, std::move(attributes));
}

Value* NodeWriter::reshape(const std::string& role, Value* value, const std::vector<Part>& shape) {
  const bool constant = std::ranges::all_of(
      shape, [](const Part& part) { return std::holds_alternative<int64_t>(part); });
  if (constant) {
    std::vector<int64_t> extents;
    for (const Part& part : shape) extents.push_back(std::get<int64_t>(part));
    return add("Reshape", role, {value, integers(role + "_shape", std::move(extents))});
  }
  std::vector<Value*> parts;
  for (const Part& part : shape) parts.push_back(vector_of(role + "_extent", part));
  Attributes axis;
  axis.emplace_back("axis", int64_t{0});
  Value* joined = add("Concat", role + "_shape", parts, std::move(axis));
  return add("Reshape", role, {value, joined});
}

Value* NodeWriter::constant(const std::string& role, Tensor tensor) {
  return add_constant(model_, *node_.graph(), name_of(role), std::move(tensor));
}

Value* NodeWriter::number(const std::string& role, float value) {
  return constant(role, Tensor::scalar(value));
}

Value* NodeWriter::integer(const std::string& role, int64_t value) {
  return constant(role, Tensor::scalar(value));
}

Value* NodeWriter::integers(const std::string& role, std::vector<int64_t> v) {
  return constant(role, Tensor::of<int64_t>({static_cast<int64_t>(v.size())}, v));
}

NodeWriter::Part NodeWriter::extent(const std::string& role, const Axis& axis) {
  if (axis.dim.known()) return axis.dim.extent;
  Value*& made = extents_[role];
  if (made == nullptr) {
    Attributes range;
    range.emplace_back("start", axis.axis);
    range.emplace_back("end", axis.axis + 1);
    made = add("Shape", role, {axis.value}, std::move(range));
  }
  return made;
}

Value* NodeWriter::vector_of(const std::string& role, const Part& part) {
  if (const int64_t* known = std::get_if<int64_t>(&part)) return integers(role, {*known});
  return std::get<Value*>(part);
}

Value* NodeWriter::scalar_of(const std::string& role, const Part& part) {
  if (const int64_t* known = std::get_if<int64_t>(&part)) return integer(role, *known);
  return add("Squeeze", role, {std::get<Value*>(part), integers(role + "_axis", {0})});
}

void NodeWriter::stand_for_output(size_t i, Value* by) {
  Value* old = node_.output(i);
  const bool output = old->is_graph_output();
  const bool written = std::ranges::find(written_, by->producer()) != written_.end();
  if (written) by->type = old->type;
  node_.graph()->replace(old, by);
  if (written && !output) take_name(*old, *by);
}

}  // namespace dwindle::passes
