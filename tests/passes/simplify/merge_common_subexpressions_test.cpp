#include <gtest/gtest.h>

#include "passes/registry.h"
#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

TEST(MergeCommonSubexpressions, ComputesOnce) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {2, 3});
    Value* left = b.node("a", "Neg", {b.node("r", "Relu", {x})});
    Value* right = b.node("b", "Neg", {b.node("q", "Relu", {x})});
    b.output(b.node("y", "Add", {left, right}));
  });
  const Model after = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {2, 3});
    Value* a = b.node("a", "Neg", {b.node("r", "Relu", {x})});
    b.output(b.node("y", "Add", {a, a}));
  });
  expect_pass(before, "merge-common-subexpressions", after);
}

TEST(MergeCommonSubexpressions, LeavesOtherAttributesAndInputs) {
  expect_untouched(make_model([](GraphBuilder& b) {
                     Value *x = b.input("x", {2, 3}), *z = b.input("z", {2, 3});
                     Value* a = b.node("a", "LeakyRelu", {x}, {{"alpha", 0.1f}});
                     Value* c = b.node("c", "LeakyRelu", {x}, {{"alpha", 0.2f}});
                     Value* d = b.node("d", "LeakyRelu", {z}, {{"alpha", 0.2f}});
                     Value* e = b.node("e", "Sub", {a, c});
                     Value* f = b.node("f", "Sub", {c, a});
                     b.output(b.node("y", "Sum", {d, e, f}));
                   }),
                   "merge-common-subexpressions");
}

TEST(MergeCommonSubexpressions, LeavesTwoGraphOutputs) {
  expect_untouched(make_model([](GraphBuilder& b) {
                     Value* x = b.input("x", {2, 3});
                     b.output(b.node("y", "Relu", {x}));
                     b.output(b.node("z", "Relu", {x}));
                   }),
                   "merge-common-subexpressions");
}

TEST(MergeCommonSubexpressions, LeavesRandomNodes) {
  Model model = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {2, 3});
    Value* n = b.node("n", "RandomNormalLike", {x});
    Value* m = b.node("m", "RandomNormalLike", {x});
    b.output(b.node("y", "Sub", {n, m}));
  });
  passes::PassContext context;
  EXPECT_FALSE(passes::make_pass("merge-common-subexpressions")->run(model, context).changed);
  EXPECT_EQ(model.graph->num_nodes(), 3u);
}

TEST(MergeCommonSubexpressions, WorksWithinNestedGraphsOnly) {
  auto branch = [](bool merged) {
    return make_nested_model({2, 3}, [&](GraphBuilder& b, Value* x) {
      Value* r = b.node("r", "Relu", {x});
      b.output(b.node("a", "Add", {r, merged ? r : b.node("s", "Relu", {x})}));
    });
  };
  expect_pass(branch(false), "merge-common-subexpressions", branch(true));
  // Both branches do the same, but only one of them runs.
  expect_untouched(make_nested_model({2, 3},
                                     [](GraphBuilder& b, Value* x) {
                                       Value* zero = b.floats("none", {1}, {0});
                                       b.output(b.node("m", "Mul", {x, zero}));
                                     }),
                   "merge-common-subexpressions");
}

}  // namespace
}  // namespace dwindle::testing
