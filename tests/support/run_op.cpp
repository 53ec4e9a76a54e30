#include "tests/support/run_op.h"

#include <gtest/gtest.h>

#include "core/ops/infer.h"

namespace dwindle::testing {
namespace {

void expect_inferred(const Value& value, const Tensor& tensor) {
  if (value.type.dtype != DType::kUndefined) {
    EXPECT_EQ(dtype_name(value.type.dtype), dtype_name(tensor.dtype()));
  }
  if (!value.type.shape) return;
  const Shape& shape = *value.type.shape;
  ASSERT_EQ(shape.size(), tensor.shape().size())
      << to_string(shape) << " was inferred for " << to_string(tensor.shape());
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i].known()) {
      EXPECT_EQ(shape[i].extent, tensor.shape()[i]) << "axis " << i;
    }
  }
}

}  // namespace

Model op_model(const OpCase& op) {
  Model model;
  model.opsets[""] = op.opset;
  Graph& graph = *model.graph;
  std::vector<Value*> inputs;
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const Tensor& tensor = op.inputs[i];
    const std::string name = "i" + std::to_string(i);
    if (!tensor.defined()) {
      inputs.push_back(nullptr);
    } else if (op.constants) {
      inputs.push_back(graph.add_initializer(name, tensor));
    } else {
      Value* value = graph.add_input(graph.add_value(name));
      value->type = {tensor.dtype(), to_shape(tensor.shape()), ""};
      inputs.push_back(value);
    }
  }
  Node* node = graph.add_node(op.type, inputs, op.num_outputs);
  for (const auto& [name, value] : op.ints) node->set_attribute(name, value);
  for (const auto& [name, value] : op.floats) node->set_attribute(name, value);
  for (const auto& [name, value] : op.strings) node->set_attribute(name, value);
  for (const auto& [name, value] : op.int_lists) node->set_attribute(name, value);
  for (Value* output : node->outputs()) graph.add_output(output);
  return model;
}

std::vector<Tensor> run_op(const OpCase& op) {
  Model model = op_model(op);
  infer_shapes(model);
  TensorMap feeds;
  for (size_t i = 0; i < op.inputs.size() && !op.constants; ++i) {
    if (op.inputs[i].defined()) feeds["i" + std::to_string(i)] = op.inputs[i];
  }
  TensorMap results = FloatExecutor(model).run(feeds);
  std::vector<Tensor> outputs;
  for (const Value* value : model.graph->outputs()) {
    outputs.push_back(results.at(value->name()));
    expect_inferred(*value, outputs.back());
  }
  return outputs;
}

}  // namespace dwindle::testing
