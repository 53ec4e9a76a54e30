#include <gtest/gtest.h>

#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

Model two_constants(const Dims& dims, float first, float second) {
  return make_model([&](GraphBuilder& b) {
    Value* x = b.input("x", {2, 3});
    Value* s = b.node("s", "Add", {x, b.ramp("a", dims, first)});
    b.output(b.node("y", "Mul", {s, b.ramp("b", dims, second)}));
  });
}

TEST(MergeEqualInitializers, KeepsTheFirst) {
  const Model after = make_model([](GraphBuilder& b) {
    Value *x = b.input("x", {2, 3}), *a = b.ramp("a", {3}, 1);
    b.output(b.node("y", "Mul", {b.node("s", "Add", {x, a}), a}));
  });
  expect_pass(two_constants({3}, 1, 1), "merge-equal-initializers", after);
}

TEST(MergeEqualInitializers, LeavesOthers) {
  expect_untouched(two_constants({3}, 1, 2), "merge-equal-initializers");
  // The same bytes in another shape.
  expect_untouched(make_model([](GraphBuilder& b) {
                     Value* x = b.input("x", {2, 3});
                     Value* s = b.node("s", "Add", {x, b.ramp("a", {3})});
                     b.output(b.node("y", "Mul", {s, b.ramp("b", {1, 3})}));
                   }),
                   "merge-equal-initializers");
  // 0 and -0 are equal numbers but not equal constants.
  expect_untouched(make_model([](GraphBuilder& b) {
                     Value* x = b.input("x", {2, 3});
                     Value* s = b.node("s", "Add", {x, b.floats("a", {1}, {0.0f})});
                     b.output(b.node("y", "Mul", {s, b.floats("b", {1}, {-0.0f})}));
                   }),
                   "merge-equal-initializers");
}

// Of large tensors only samples are hashed: those that differ between samples must stay apart.
TEST(MergeEqualInitializers, ComparesLargeTensorsInFull) {
  const auto made = [](bool equal) {
    return make_model([&](GraphBuilder& b) {
      Value* x = b.input("x", {1, 1'500'000});
      Tensor other = Tensor::zeros(DType::kFloat, {1'500'000});
      if (!equal) other.mutable_data<float>()[1'234'567] = 1;
      Value* zeros = b.constant("a", Tensor::zeros(DType::kFloat, {1'500'000}));
      Value* s = b.node("s", "Max", {x, zeros});
      b.output(b.node("y", "Max", {s, b.constant("b", other)}));
    });
  };
  expect_untouched(made(false), "merge-equal-initializers");
  EXPECT_EQ(run_checked(made(true), "merge-equal-initializers").graph->initializers().size(), 1u);
}

TEST(MergeEqualInitializers, ReadsOuterConstantsFromNestedGraphs) {
  const Model before = make_nested_model({2, 3}, [](GraphBuilder& b, Value* x) {
    // %zero of the other branch is equal, but not to be seen from here.
    b.output(b.node("s", "Add", {x, b.floats("none", {1}, {0})}));
  });
  expect_untouched(before, "merge-equal-initializers");
  Model with_outer = before.clone();
  GraphBuilder outer(*with_outer.graph);
  outer.output(outer.node("o", "Mul", {outer.graph().inputs()[1], outer.floats("k", {1}, {0})}));
  const Model model = run_checked(with_outer, "merge-equal-initializers");
  const Node* branching = model.graph->nodes().begin().operator*();
  EXPECT_TRUE(branching->graph_attribute("then_branch")->initializers().empty());
  EXPECT_TRUE(branching->graph_attribute("else_branch")->initializers().empty());
}

}  // namespace
}  // namespace dwindle::testing
