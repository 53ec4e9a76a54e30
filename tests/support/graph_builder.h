// A short way to write small models in tests.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/ir/model.h"

namespace dwindle::testing {

using AttributeArgument =
    std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<float>, Tensor>;
using AttributeArguments = std::vector<std::pair<std::string, AttributeArgument>>;

// Adds to a graph that outlives it. Values are named; nodes are not.
class GraphBuilder {
 public:
  explicit GraphBuilder(Graph& graph) : graph_(graph) {}

  Value* input(const std::string& name, Shape shape, DType dtype = DType::kFloat);
  Value* floats(const std::string& name, Dims dims, std::vector<float> values);
  // The elements count up in small steps, so that no two are the same.
  Value* ramp(const std::string& name, Dims dims, float first = -1, float step = 0.125f);
  Value* ints(const std::string& name, std::vector<int64_t> values);  // rank 1
  Value* constant(const std::string& name, Tensor tensor);

  // %name = op(inputs).
  Value* node(const std::string& name, const std::string& op, const std::vector<Value*>& inputs,
              const AttributeArguments& attributes = {});
  // The same with several outputs; an empty name omits one.
  std::vector<Value*> nodes(const std::vector<std::string>& names, const std::string& op,
                            const std::vector<Value*>& inputs,
                            const AttributeArguments& attributes = {});
  // A graph in attribute `attribute` of the last node that was added.
  GraphBuilder nested(const std::string& attribute);

  void output(Value* value) { graph_.add_output(value); }
  Graph& graph() { return graph_; }

 private:
  Graph& graph_;
};

// `build(builder)` on the graph of a new model of ai.onnx in version `opset`.
template <typename Build>
Model make_model(Build&& build, int opset = 17) {
  Model model;
  model.opsets[""] = opset;
  GraphBuilder builder(*model.graph);
  build(builder);
  return model;
}

// A model with inputs %condition and %x: float32[shape], and an If whose then_branch is filled by
// `build(builder, x)`; the else_branch gives x · 0.
template <typename Build>
Model make_nested_model(const Shape& shape, Build&& build, int opset = 17) {
  return make_model(
      [&](GraphBuilder& b) {
        Value* condition = b.input("condition", {}, DType::kBool);
        Value* x = b.input("x", shape);
        Value* y = b.node("y", "If", {condition});
        GraphBuilder then_branch = b.nested("then_branch");
        build(then_branch, x);
        GraphBuilder else_branch = b.nested("else_branch");
        Value* zero = else_branch.floats("zero", {1}, {0});
        else_branch.output(else_branch.node("nothing", "Mul", {x, zero}));
        b.output(y);
      },
      opset);
}

}  // namespace dwindle::testing
