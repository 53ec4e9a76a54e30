#include <gtest/gtest.h>

#include "core/support/error.h"
#include "passes/registry.h"
#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

// x: float32[2,3,6,6] through one op of an old version.
Model one_op(int opset, const std::string& op, const AttributeArguments& attributes,
             const std::vector<float>& second = {}) {
  return make_model(
      [&](GraphBuilder& b) {
        std::vector<Value*> inputs = {b.input("x", {2, 3, 6, 6})};
        if (!second.empty()) {
          inputs.push_back(b.floats("second", {static_cast<int64_t>(second.size())}, second));
        }
        b.output(b.node("y", op, inputs, attributes));
      },
      opset);
}

std::string raised(const Model& model) {
  const Model after = run_checked(model, "raise-opset");
  EXPECT_EQ(after.opset(), 13);
  return ops_of(*after.graph);
}

using Ints = std::vector<int64_t>;

TEST(RaiseOpset, AttributesBecomeInputs) {
  EXPECT_EQ(raised(one_op(7, "Clip", {{"min", -0.5f}, {"max", 0.25f}})), "Clip");
  EXPECT_EQ(raised(one_op(7, "Clip", {{"max", 0.25f}})), "Clip");
  EXPECT_EQ(raised(one_op(9, "Slice",
                          {{"starts", Ints{1, -3}}, {"ends", Ints{3, 99}}, {"axes", Ints{1, 3}}})),
            "Slice");
  EXPECT_EQ(raised(one_op(9, "Slice", {{"starts", Ints{1}}, {"ends", Ints{2}}})), "Slice");
  const Ints pads{0, 0, 1, 2, 0, 0, 0, 1};
  EXPECT_EQ(raised(one_op(10, "Pad", {{"pads", pads}, {"value", 3.0f}})), "Pad");
  EXPECT_EQ(raised(one_op(10, "Pad", {{"pads", pads}, {"mode", std::string("edge")}})), "Pad");
  EXPECT_EQ(raised(one_op(11, "Unsqueeze", {{"axes", Ints{0, 2}}})), "Unsqueeze");
  EXPECT_EQ(raised(one_op(11, "Dropout", {{"ratio", 0.5f}})), "Dropout");
}

TEST(RaiseOpset, UpsampleBecomesResize) {
  EXPECT_EQ(raised(one_op(7, "Upsample", {{"scales", std::vector<float>{1, 1, 2, 3}}})), "Resize");
  EXPECT_EQ(raised(one_op(9, "Upsample", {{"mode", std::string("linear")}}, {1, 1, 2, 2})),
            "Resize");
  EXPECT_EQ(raised(one_op(10, "Resize", {{"mode", std::string("linear")}}, {1, 1, 0.5f, 2})),
            "Resize");
}

TEST(RaiseOpset, SoftmaxOverSeveralAxesStaysSo) {
  EXPECT_EQ(raised(one_op(11, "Softmax", {{"axis", int64_t{3}}})), "Softmax");
  EXPECT_EQ(raised(one_op(11, "Softmax", {})), "Shape Flatten Softmax Reshape");
  EXPECT_EQ(raised(one_op(11, "LogSoftmax", {{"axis", int64_t{2}}})),
            "Shape Flatten LogSoftmax Reshape");
}

TEST(RaiseOpset, ConvertsNestedGraphs) {
  const Model model = make_nested_model(
      {2, 4},
      [](GraphBuilder& b, Value* x) {
        b.output(b.node("c", "Clip", {x}, {{"min", 0.0f}}));
      },
      9);
  const Model after = run_checked(model, "raise-opset");
  const Graph* branch = (*after.graph->nodes().begin())->graph_attribute("then_branch");
  EXPECT_EQ((*branch->nodes().begin())->num_inputs(), 2u);
}

TEST(RaiseOpset, LeavesNewerModels) {
  expect_untouched(one_op(13, "Softmax", {}), "raise-opset");
  expect_untouched(one_op(17, "Relu", {}), "raise-opset");
}

TEST(RaiseOpset, RefusesWhatItCannotConvert) {
  Model spatial = one_op(7, "BatchNormalization", {{"spatial", int64_t{0}}});
  passes::PassContext context;
  EXPECT_THROW(passes::make_pass("raise-opset")->run(spatial, context), Unsupported);
  EXPECT_THROW(passes::make_pass("raise-opset", {{"opset", int64_t{99}}}), BadOption);
}

}  // namespace
}  // namespace dwindle::testing
