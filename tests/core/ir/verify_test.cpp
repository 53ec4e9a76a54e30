#include "core/ir/verify.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/support/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/onnx_bytes.h"

namespace dwindle {
namespace {

using namespace testing;

// x, float[2] → Abs → a → Neg → y
Model chain() {
  GraphParts parts = relu_parts();
  parts.nodes = {node("Abs", {"x"}, {"a"}, "abs"), node("Neg", {"a"}, {"y"}, "neg")};
  return parse(model(parts));
}

Node* first(const Model& model) { return *model.graph->nodes().begin(); }

// Exactly one fault, with `text` in it.
void expect_fault(const Model& model, std::string_view text) {
  const std::vector<std::string> faults = find_faults(model);
  ASSERT_EQ(faults.size(), 1u) << ::testing::PrintToString(faults);
  EXPECT_NE(faults[0].find(text), std::string::npos) << faults[0];
  expect_error<BadModel>(text, [&] { verify(model); });
}

bool has_fault(const Model& model, std::string_view text) {
  const std::vector<std::string> faults = find_faults(model);
  return std::any_of(faults.begin(), faults.end(), [&](const std::string& fault) {
    return fault.find(text) != std::string::npos;
  });
}

TEST(Verify, ValidModelsHaveNoFaults) {
  EXPECT_TRUE(find_faults(chain()).empty());
  EXPECT_NO_THROW(verify(chain()));
}

TEST(Verify, OrderOfNodes) {
  Model model = chain();
  model.graph->move_before(first(model)->next(), first(model));
  expect_fault(model, "Neg node 'neg' reads 'a' before it is defined");
}

TEST(Verify, Cycle) {
  Model model = chain();
  first(model)->set_input(0, model.graph->find("y"));
  EXPECT_TRUE(has_fault(model, "cycle through or before: Abs node 'abs', Neg node 'neg'"));
}

TEST(Verify, ValuesThatNothingDefines) {
  Model model = chain();
  first(model)->set_input(0, model.graph->add_value("loose"));
  expect_fault(model, "reads 'loose', which nothing defines");
  model = chain();
  model.graph->set_output(0, model.graph->add_value("loose"));
  expect_fault(model, "graph output 'loose' is defined nowhere");
}

TEST(Verify, ValuesOfOtherGraphs) {
  Model model = chain();
  const Model other = chain();
  first(model)->set_input(0, other.graph->find("x"));
  EXPECT_TRUE(has_fault(model, "no longer in the model"));
  first(model)->set_input(0, model.graph->find("x"));
}

TEST(Verify, InnerValuesReadOutside) {
  Model model = chain();
  auto inner = std::make_unique<Graph>(model.graph.get());
  Value* value = inner->add_node("Abs", {model.graph->find("x")}, 1, nullptr, "inner")->output();
  inner->add_output(value);
  Node* custom = model.graph->add_node("Custom", {});
  custom->set_attribute("body", std::move(inner));
  EXPECT_TRUE(find_faults(model).empty());
  model.graph->add_node("Abs", {value});
  expect_fault(model, "reads 'inner' of a graph that it is not in");
}

TEST(Verify, NameClashWithAnOuterGraph) {
  Model model = chain();
  auto inner = std::make_unique<Graph>(model.graph.get());
  Value* value = inner->add_node("Abs", {model.graph->find("x")})->output();
  value->rename("a");
  inner->add_output(value);
  model.graph->add_node("Custom", {})->set_attribute("body", std::move(inner));
  expect_fault(model, "value 'a' has the name of a value of an outer graph");
}

TEST(Verify, GraphsThatBelongElsewhere) {
  Model model = chain();
  model.graph->add_node("Custom", {})->set_attribute("body", std::make_unique<Graph>());
  expect_fault(model, "belongs elsewhere");
}

TEST(Verify, DeclaredTypesAgainstInitializers) {
  Model model = chain();
  Value* w = model.graph->add_initializer("w", Tensor::zeros(DType::kFloat, {2, 3}));
  EXPECT_TRUE(find_faults(model).empty());
  w->type.shape = Shape{Dim::named("n"), 3};
  EXPECT_TRUE(find_faults(model).empty());
  w->type.shape = Shape{2, 4};
  expect_fault(model, "value 'w' is declared as float32[2,4] but its initializer is float32[2,3]");
  w->type = {DType::kInt8, Shape{2, 3}, ""};
  expect_fault(model, "value 'w' is declared as int8[2,3]");
  w->set_initializer(Tensor());
  EXPECT_TRUE(has_fault(model, "value 'w' has no data type"));
}

TEST(Verify, BytesThatAreMissing) {
  Model model = chain();
  model.graph->add_initializer("w", Tensor::borrow(DType::kFloat, {2}, nullptr, nullptr));
  expect_fault(model, "value 'w' has no data");
}

TEST(Verify, SparseIndices) {
  const auto with = [](std::vector<int64_t> indices) {
    Model model = chain();
    model.graph->add_value("s")->set_sparse_initializer(
        {Tensor::of<float>({2}, std::vector<float>{1, 2}), Tensor::of<int64_t>({2}, indices), {4}});
    return model;
  };
  EXPECT_TRUE(find_faults(with({1, 3})).empty());
  expect_fault(with({1, 4}), "out of range");
  expect_fault(with({-1, 3}), "out of range");
  expect_fault(with({3, 1}), "do not ascend");
  expect_fault(with({3, 3}), "do not ascend");
}

TEST(Verify, OperatorSets) {
  Model model = chain();
  first(model)->domain = "com.example";
  expect_fault(model, "operator set 'com.example' is not imported");
  model.opsets["com.example"] = 1;
  EXPECT_TRUE(find_faults(model).empty());
}

TEST(Verify, Attributes) {
  Model model = chain();
  for (int i = 0; i < 2; ++i) {
    first(model)->attributes().emplace_back().name = "k";
  }
  expect_fault(model, "attribute 'k' is there twice");
}

Attribute reference_to(const std::string& name) {
  Attribute attribute;
  attribute.name = "alpha";
  attribute.reference = name;
  return attribute;
}

Function& add_function(Model& model, const std::string& name, const std::string& calls) {
  Function& function = model.functions.emplace_back();
  function.domain = "local";
  function.name = name;
  function.opsets = {{"", 17}, {"local", 1}};
  function.graph = std::make_unique<Graph>();
  Value* input = function.graph->add_input(function.graph->add_value("in"));
  Node* node = function.graph->add_node(calls, {input});
  if (calls != "Abs") node->domain = "local";
  function.graph->add_output(node->output());
  return function;
}

TEST(Verify, FunctionsThatCallThemselves) {
  Model model = chain();
  add_function(model, "A", "B");
  add_function(model, "B", "Abs");
  EXPECT_TRUE(find_faults(model).empty());
  model.functions.pop_back();
  add_function(model, "B", "A");
  EXPECT_TRUE(has_fault(model, "function 'local.A' calls itself"));
  EXPECT_TRUE(has_fault(model, "function 'local.B' calls itself"));
}

TEST(Verify, FunctionsOfOneName) {
  Model model = chain();
  add_function(model, "A", "Abs");
  add_function(model, "A", "Abs");
  expect_fault(model, "function 'local.A': is defined twice");
  model.functions.back().overload = "other";
  EXPECT_TRUE(find_faults(model).empty());
}

TEST(Verify, ReferencesToAttributes) {
  Model model = chain();
  Function& function = add_function(model, "A", "Abs");
  Node* inner = *function.graph->nodes().begin();
  inner->attributes().push_back(reference_to("slope"));
  expect_fault(model, "refers to 'slope', which no function has");
  function.attributes = {"slope"};
  EXPECT_TRUE(find_faults(model).empty());
  first(model)->attributes().push_back(reference_to("slope"));
  expect_fault(model, "refers to 'slope'");
}

TEST(Verify, NegativeExtents) {
  Model model = chain();
  model.graph->find("a")->type = {DType::kFloat, Shape{-3}, ""};
  expect_fault(model, "value 'a' has a negative extent");
}

}  // namespace
}  // namespace dwindle
