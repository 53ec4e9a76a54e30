#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

using Integers = std::vector<int64_t>;
const Shape kImage = {Dim::named("N"), 2, 7, 7};

struct PadCase {
  Integers pads = {0, 0, 0, 1, 0, 0, 1, 2};
  float value = 0;
  std::string before = "";  // an op in front of the Pad
};

Model pad_and(const char* op, const PadCase& pad, const AttributeArguments& attributes) {
  return make_model([&](GraphBuilder& b) {
    Value* x = b.input("x", kImage);
    if (!pad.before.empty()) x = b.node("r", pad.before, {x});
    Value* value = b.constant("value", Tensor::scalar(pad.value));
    Value* p = b.node("p", "Pad", {x, b.ints("pads", pad.pads), value});
    std::vector<Value*> inputs = {p};
    if (op == std::string("Conv")) inputs.push_back(b.ramp("w", {3, 2, 3, 3}));
    b.output(b.node("y", op, inputs, attributes));
  });
}

const AttributeArguments kPool = {{"kernel_shape", Integers{3, 3}}, {"strides", Integers{2, 2}}};

AttributeArguments with(AttributeArguments attributes, const AttributeArguments& more) {
  attributes.insert(attributes.end(), more.begin(), more.end());
  return attributes;
}

TEST(MergePad, MergesIntoConv) {
  const Model before = pad_and("Conv", {}, {{"pads", Integers{1, 0, 0, 1}}});
  const Model model = run_checked(before, "merge-pad");
  EXPECT_EQ(ops_of(*model.graph), "Conv");
  EXPECT_EQ(model.graph->last_node()->ints_attribute("pads"), (Integers{1, 1, 1, 3}));
}

TEST(MergePad, MergesIntoConvWithAutomaticPadding) {
  for (const char* automatic : {"VALID", "SAME_UPPER", "SAME_LOWER"}) {
    const Model before =
        pad_and("Conv", {}, {{"auto_pad", std::string(automatic)}, {"strides", Integers{2, 2}}});
    EXPECT_EQ(ops_of(*run_checked(before, "merge-pad").graph), "Conv");
  }
}

TEST(MergePad, MergesAttributesOfOldOpsets) {
  const Model before = make_model(
      [](GraphBuilder& b) {
        Value* p = b.node("p", "Pad", {b.input("x", kImage)},
                          {{"pads", Integers{0, 0, 1, 1, 0, 0, 1, 1}}});
        b.output(b.node("y", "Conv", {p, b.ramp("w", {3, 2, 3, 3})}));
      },
      9);
  EXPECT_EQ(ops_of(*run_checked(before, "merge-pad").graph), "Conv");
}

TEST(MergePad, MergesGivenAxes) {
  const Model before = make_model(
      [](GraphBuilder& b) {
        Value* x = b.input("x", kImage);
        Value* p = b.node("p", "Pad", {x, b.ints("pads", {1, 2}), nullptr, b.ints("axes", {-1})});
        b.output(b.node("y", "Conv", {p, b.ramp("w", {3, 2, 3, 3})}));
      },
      18);
  const Model model = run_checked(before, "merge-pad");
  EXPECT_EQ(model.graph->last_node()->ints_attribute("pads"), (Integers{0, 1, 0, 2}));
}

TEST(MergePad, LeavesOtherPadding) {
  expect_untouched(pad_and("Conv", {.value = 1}, {}), "merge-pad");
  expect_untouched(pad_and("Conv", {.pads = {0, 0, 0, -1, 0, 0, 0, 0}}, {}), "merge-pad");
  expect_untouched(pad_and("Conv", {.pads = {1, 0, 0, 0, 0, 0, 0, 0}}, {}), "merge-pad");
}

// What ONNX Runtime would merge wrongly is -0 from now on, once and for all.
void expect_kept_apart(const Model& before) {
  const Model model = run_checked(before, "merge-pad");
  EXPECT_EQ(ops_of(*model.graph), ops_of(*before.graph));
  const Node& pad = *model.graph->last_node()->input(0)->producer();
  const float value = to_floats(*pad.input(2)->constant())[0];
  EXPECT_TRUE(value == 0 && std::signbit(value)) << value;
  expect_untouched(model, "merge-pad");
}

TEST(MergePad, CountsZerosInAveragePool) {
  const Model model = run_checked(pad_and("AveragePool", {}, kPool), "merge-pad");
  EXPECT_EQ(ops_of(*model.graph), "AveragePool");
  EXPECT_EQ(model.graph->last_node()->int_attribute("count_include_pad", 0), 1);
  const AttributeArguments pads = {{"pads", Integers{1, 1, 0, 0}}};
  expect_kept_apart(pad_and("AveragePool", {}, with(kPool, pads)));
  const AttributeArguments counted = with(pads, {{"count_include_pad", int64_t{1}}});
  EXPECT_EQ(
      ops_of(*run_checked(pad_and("AveragePool", {}, with(kPool, counted)), "merge-pad").graph),
      "AveragePool");
}

TEST(MergePad, MergesIntoMaxPoolWherePaddingNeverWins) {
  EXPECT_EQ(
      ops_of(*run_checked(pad_and("MaxPool", {.value = -INFINITY}, kPool), "merge-pad").graph),
      "MaxPool");
  EXPECT_EQ(ops_of(*run_checked(pad_and("MaxPool", {.before = "Relu"}, kPool), "merge-pad").graph),
            "Relu MaxPool");
  expect_kept_apart(pad_and("MaxPool", {}, kPool));
  // A window of padding alone is 0, not -inf.
  expect_kept_apart(
      pad_and("MaxPool", {.pads = {0, 0, 3, 0, 0, 0, 0, 0}, .before = "Relu"}, kPool));
  expect_kept_apart(
      pad_and("MaxPool", {.before = "Relu"}, with(kPool, {{"ceil_mode", int64_t{1}}})));
  expect_untouched(pad_and("MaxPool", {.value = 1}, kPool), "merge-pad");
}

TEST(MergePad, WorksInNestedGraphs) {
  const Model before = make_nested_model({2, 2, 5, 5}, [](GraphBuilder& b, Value* x) {
    Value* p = b.node("p", "Pad", {x, b.ints("pads", {0, 0, 1, 1, 0, 0, 1, 1})});
    b.output(b.node("c", "Conv", {p, b.ramp("w", {2, 2, 3, 3})}));
  });
  const Model model = run_checked(before, "merge-pad");
  EXPECT_EQ(ops_of(*model.graph->last_node()->graph_attribute("then_branch")), "Conv");
}

}  // namespace
}  // namespace dwindle::testing
