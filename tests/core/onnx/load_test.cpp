// What a valid model is in memory after loading.
#include <gtest/gtest.h>

#include "core/ir/print.h"
#include "core/ir/verify.h"
#include "core/onnx/onnx.h"
#include "core/support/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/onnx_bytes.h"
#include "tests/support/temp_folder.h"

namespace dwindle {
namespace {

using namespace testing;

TEST(Load, SmallestModel) {
  const Model loaded = parse(model(relu_parts()));
  EXPECT_EQ(loaded.ir_version, 8);
  EXPECT_EQ(loaded.opset(), 17);
  ASSERT_EQ(loaded.graph->num_nodes(), 1u);
  const Node* relu = *loaded.graph->nodes().begin();
  EXPECT_TRUE(relu->is("Relu"));
  EXPECT_EQ(relu->input(0), loaded.graph->inputs()[0]);
  EXPECT_EQ(relu->output(), loaded.graph->outputs()[0]);
  EXPECT_EQ(relu->output()->type, (ValueType{DType::kFloat, Shape{2}, ""}));
  EXPECT_TRUE(find_faults(loaded).empty());
}

TEST(Load, SortsNodes) {
  GraphParts parts = relu_parts();
  parts.nodes = {node("Relu", {"b"}, {"y"}), node("Neg", {"a"}, {"b"}), node("Abs", {"x"}, {"a"})};
  std::string order;
  const Model loaded = parse(model(parts));
  for (const Node* each : loaded.graph->nodes()) order += each->op_type + " ";
  EXPECT_EQ(order, "Abs Neg Relu ");
}

TEST(Load, OmittedInputsAndOutputsAreNull) {
  GraphParts parts = relu_parts();
  parts.nodes = {node("Custom", {"x", "", "x"}, {"", "y"})};
  const std::string file = model(parts);
  const Model loaded = parse(file);
  const Node* custom = *loaded.graph->nodes().begin();
  EXPECT_EQ(custom->num_inputs(), 3u);
  EXPECT_EQ(custom->input(1), nullptr);
  EXPECT_EQ(custom->output(0), nullptr);
  EXPECT_EQ(serialize_model(loaded), file);
}

TEST(Load, NestedGraphsReadOuterValuesDefinedLater) {
  GraphParts branch;
  branch.name = "branch";
  branch.nodes = {node("Neg", {"late"}, {"n"})};
  branch.outputs = {value_info("n", kFloat, {2})};
  GraphParts parts = relu_parts();
  parts.inputs.push_back(value_info("c", kBool, {}));
  parts.nodes = {node("If", {"c"}, {"y"}, "if",
                      {graph_attribute("then_branch", graph(branch)),
                       graph_attribute("else_branch", graph(branch))}),
                 node("Abs", {"x"}, {"late"}, "abs")};
  const Model loaded = parse(model(parts));
  const Node* first = *loaded.graph->nodes().begin();
  EXPECT_EQ(first->op_type, "Abs");
  EXPECT_EQ(loaded.graph->find("late")->uses().size(), 2u);
  EXPECT_EQ(first->next()->graph_attribute("then_branch")->parent(), loaded.graph.get());
  EXPECT_TRUE(find_faults(loaded).empty());
  EXPECT_EQ(to_text(parse(serialize_model(loaded))), to_text(loaded));
}

TEST(Load, InnerNamesMayShadowOuterOnes) {
  GraphParts branch;
  branch.nodes = {node("Neg", {"w"}, {"n"})};
  branch.initializers = {tensor("w", kFloat, {1}, raw_bytes<float>({5}))};
  branch.outputs = {value_info("n", kFloat, {1})};
  GraphParts parts = relu_parts();
  parts.initializers = {tensor("w", kFloat, {2}, raw_bytes<float>({1, 2}))};
  parts.nodes = {node("If", {"x"}, {"y"}, "", {graph_attribute("then_branch", graph(branch))})};
  const Model loaded = parse(model(parts));
  const Graph* inner = (*loaded.graph->nodes().begin())->graph_attribute("then_branch");
  const Node* neg = *inner->nodes().begin();
  EXPECT_EQ(neg->input(0)->graph(), inner);
  EXPECT_EQ(neg->input(0)->initializer()->size(), 1);
  EXPECT_TRUE(find_faults(loaded).empty());
}

TEST(Load, AnInitializerMayBeTheDefaultOfAnInput) {
  GraphParts parts = relu_parts();
  parts.initializers = {tensor("x", kFloat, {2}, raw_bytes<float>({1, 2}))};
  const Model loaded = parse(model(parts));
  const Value* x = loaded.graph->find("x");
  EXPECT_TRUE(x->is_graph_input());
  EXPECT_NE(x->initializer(), nullptr);
  EXPECT_EQ(x->constant(), nullptr);
  EXPECT_EQ(serialize_model(loaded), model(parts));
}

TEST(Load, TheTwoNamesOfTheOnnxDomainAreOne) {
  GraphParts parts = relu_parts();
  parts.nodes[0].bytes(7, "ai.onnx");
  const std::string file = ProtoBytes()
                               .integer(1, 8)
                               .message(7, graph(parts))
                               .message(8, ProtoBytes().bytes(1, "ai.onnx").integer(2, 13))
                               .str();
  const Model loaded = parse(file);
  EXPECT_EQ(loaded.opset(), 13);
  EXPECT_TRUE((*loaded.graph->nodes().begin())->is("Relu"));
}

TEST(Load, OldFilesNeedNoImportsAndNoAttributeTypes) {
  GraphParts parts = relu_parts();
  parts.nodes = {node("Custom", {"x"}, {"y"}, "", {ProtoBytes().bytes(1, "k").integer(3, 7)})};
  const Model loaded = parse(ProtoBytes().integer(1, 1).message(7, graph(parts)).str());
  EXPECT_EQ(loaded.opset(), 1);
  EXPECT_EQ((*loaded.graph->nodes().begin())->int_attribute("k", 0), 7);
}

TEST(Load, ManyTensorsShareNoScan) {
  // Ten thousand initializers and nodes: anything quadratic would show as a hang.
  GraphParts parts = relu_parts();
  parts.nodes.clear();
  std::string last = "x";
  for (int i = 0; i < 10000; ++i) {
    const std::string id = std::to_string(i);
    parts.initializers.push_back(tensor("w" + id, kFloat, {2}, raw_bytes<float>({1, 2})));
    parts.nodes.push_back(node("Add", {last, "w" + id}, {i == 9999 ? "y" : "t" + id}));
    last = "t" + id;
  }
  const std::string file = model(parts);
  const Model loaded = parse(file);
  EXPECT_TRUE(find_faults(loaded).empty());
  EXPECT_EQ(serialize_model(loaded), file);
}

}  // namespace
}  // namespace dwindle
