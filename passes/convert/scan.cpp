// Scan-8, which ran its body for every sample of a batch, and Scatter, which has another name.
//
// No row is needed for If and Loop: their steps allow more types and shapes.
#include <memory>

#include "core/ir/model.h"
#include "passes/convert/conversion.h"

namespace dwindle::passes {
namespace {

// `type` without its outermost axis.
ValueType inner_type(ValueType type) {
  if (type.shape && !type.shape->empty()) type.shape->erase(type.shape->begin());
  return type;
}

// The body of the outer Scan: one sample through the inner Scan, which is that of version 8 without
// its batch axis.
std::unique_ptr<Graph> one_sample(const Node& node, const Graph& body) {
  auto sample = std::make_unique<Graph>(node.graph());
  sample->name = body.name + "_sample";
  std::vector<Value*> inputs;
  for (size_t i = 1; i < node.num_inputs(); ++i) {
    Value* value = sample->add_value(sample->fresh_name(node.input(i)->name() + "_sample"));
    value->type = inner_type(node.input(i)->type);
    inputs.push_back(sample->add_input(value));
  }
  Node* inner = sample->add_node("Scan", inputs, node.num_outputs());
  inner->name = node.name.empty() ? "" : node.name + "_sample";
  inner->set_attribute("num_scan_inputs", node.int_attribute("num_scan_inputs", 1));
  if (auto directions = node.ints_attribute("directions")) {
    inner->set_attribute("scan_input_directions", std::move(*directions));
  }
  auto copy = std::make_unique<Graph>(sample.get());
  std::unordered_map<const Value*, Value*> values;
  copy_graph(body, *copy, values);
  inner->set_attribute("body", std::move(copy));
  for (size_t i = 0; i < node.num_outputs(); ++i) {
    Value* output = inner->output(i);
    if (node.output(i) != nullptr) output->type = inner_type(node.output(i)->type);
    sample->add_output(output);
  }
  return sample;
}

// Two Scans: the outer one goes over the batch and keeps no state.
void scan_batch(const NodeRaise& at) {
  Node& node = at.node;
  if (node.input(0) != nullptr) refuse("sequences of lengths that differ ('sequence_lens')");
  const Graph* body = node.graph_attribute("body");
  if (body == nullptr) refuse("it has no attribute 'body'");
  auto sample = one_sample(node, *body);
  node.set_attribute("body", std::move(sample));
  node.remove_attribute("directions");
  const std::vector<Value*> inputs = node.inputs();
  node.resize_inputs(inputs.size() - 1);
  for (size_t i = 1; i < inputs.size(); ++i) node.set_input(i - 1, inputs[i]);
  node.set_attribute("num_scan_inputs", static_cast<int64_t>(inputs.size() - 1));
}

void scatter_elements(const NodeRaise& at) { at.node.op_type = "ScatterElements"; }

}  // namespace

std::span<const Conversion> scan_conversions() {
  static constexpr Conversion kConversions[] = {
      {"Scan", 9, scan_batch},
      {"Scatter", 11, scatter_elements},
  };
  return kConversions;
}

}  // namespace dwindle::passes
