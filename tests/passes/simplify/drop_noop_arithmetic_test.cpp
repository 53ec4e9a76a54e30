#include <gtest/gtest.h>

#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

Model arithmetic(const char* op, float value, const Dims& dims, bool first = false) {
  return make_model([&](GraphBuilder& b) {
    Value* x = b.input("x", {Dim::named("N"), 3});
    Value* k = b.ramp("k", dims, value, 0);
    b.output(b.node("y", "Relu", {b.node("a", op, first ? std::vector{k, x} : std::vector{x, k})}));
  });
}

TEST(DropNoopArithmetic, DropsNeutralElements) {
  for (const auto& [op, value] :
       {std::pair{"Add", 0.0f}, {"Sub", 0.0f}, {"Mul", 1.0f}, {"Div", 1.0f}, {"Pow", 1.0f}}) {
    for (const Dims& dims : {Dims{}, Dims{1, 1}, Dims{3}}) {
      SCOPED_TRACE(op + to_string(dims));
      const Model model = run_checked(arithmetic(op, value, dims), "drop-noop-arithmetic");
      EXPECT_EQ(ops_of(*model.graph), "Relu");
    }
  }
  EXPECT_EQ(ops_of(*run_checked(arithmetic("Mul", 1, {3}, true), "drop-noop-arithmetic").graph),
            "Relu");
}

TEST(DropNoopArithmetic, LeavesOtherElementsAndLargerShapes) {
  const char* pass = "drop-noop-arithmetic";
  expect_untouched(arithmetic("Add", 1, {3}), pass);
  expect_untouched(arithmetic("Mul", 0, {3}), pass);
  expect_untouched(arithmetic("Sub", 0, {3}, true), pass);
  expect_untouched(arithmetic("Div", 1, {3}, true), pass);
  expect_untouched(arithmetic("Add", 0, {1, 1, 3}), pass);
  expect_untouched(arithmetic("Add", 0, {2, 1, 3}), pass);
}

TEST(DropNoopArithmetic, WorksInNestedGraphs) {
  const Model before = make_nested_model({2, 3}, [](GraphBuilder& b, Value* x) {
    b.output(b.node("r", "Relu", {b.node("a", "Add", {x, b.floats("k", {}, {0})})}));
  });
  const Model model = run_checked(before, "drop-noop-arithmetic");
  EXPECT_EQ(ops_of(*model.graph->last_node()->graph_attribute("then_branch")), "Relu");
}

}  // namespace
}  // namespace dwindle::testing
