#include <gtest/gtest.h>

#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

// Three channels on axis 1 of four axes, 2 by 2 behind them.
Model conv_and(const char* op, const Dims& constant, bool constant_first = false) {
  return make_model([&](GraphBuilder& b) {
    Value* x = b.input("x", {Dim::named("N"), 2, 4, 4});
    Value* c = b.node("c", "Conv", {x, b.ramp("w", {3, 2, 3, 3}), b.ramp("b", {3})});
    Value* k = b.ramp("k", constant, 2);
    b.output(b.node("y", op, constant_first ? std::vector{k, c} : std::vector{c, k}));
  });
}

TEST(FoldAffine, FoldsIntoConv) {
  for (const char* op : {"Mul", "Div", "Add", "Sub"}) {
    for (const Dims& constant : {Dims{}, Dims{1}, Dims{3, 1, 1}, Dims{1, 3, 1, 1}}) {
      SCOPED_TRACE(op + to_string(constant));
      EXPECT_EQ(ops_of(*run_checked(conv_and(op, constant), "fold-affine").graph), "Conv");
    }
  }
}

TEST(FoldAffine, FoldsAConstantInFront) {
  for (const char* op : {"Mul", "Add", "Sub"}) {
    EXPECT_EQ(ops_of(*run_checked(conv_and(op, {3, 1, 1}, true), "fold-affine").graph), "Conv");
  }
  expect_untouched(conv_and("Div", {3, 1, 1}, true), "fold-affine");
}

TEST(FoldAffine, LeavesWhatIsNotPerChannel) {
  expect_untouched(conv_and("Mul", {2}), "fold-affine");              // along the width
  expect_untouched(conv_and("Add", {1, 1, 2, 2}), "fold-affine");     // along both
  expect_untouched(conv_and("Add", {1, 1, 1, 1, 1}), "fold-affine");  // adds an axis
}

TEST(FoldAffine, ScalesAMatMulOfAnyRank) {
  auto model = [](const char* op) {
    return make_model([&](GraphBuilder& b) {
      Value* m = b.node("m", "MatMul", {b.input("x", {2, 3, 4}), b.ramp("w", {4, 5})});
      b.output(b.node("y", op, {m, b.ramp("k", {5})}));
    });
  };
  EXPECT_EQ(ops_of(*run_checked(model("Mul"), "fold-affine").graph), "MatMul");
  expect_untouched(model("Add"), "fold-affine");
}

TEST(FoldAffine, WorksInNestedGraphs) {
  const Model before = make_nested_model({2, 2, 4, 4}, [](GraphBuilder& b, Value* x) {
    Value* c = b.node("c", "Conv", {x, b.ramp("w", {3, 2, 1, 1})});
    b.output(b.node("a", "Add", {c, b.ramp("k", {1, 3, 1, 1})}));
  });
  const Model model = run_checked(before, "fold-affine");
  EXPECT_EQ(ops_of(*model.graph->last_node()->graph_attribute("then_branch")), "Conv");
}

// The sum is read by a nested graph's list of outputs alone: either both change or nothing does.
TEST(FoldAffine, BranchesThatHandOutTheSumFollow) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* condition = b.input("condition", {}, DType::kBool);
    Value* m = b.node("m", "MatMul", {b.input("x", {3, 4}), b.ramp("w", {4, 4})});
    Value* sum = b.node("s", "Add", {m, b.ramp("k", {4})});
    const auto outputs = b.nodes({"y", "z"}, "If", {condition});
    for (const char* branch : {"then_branch", "else_branch"}) {
      GraphBuilder inner = b.nested(branch);
      inner.output(sum);
      inner.output(inner.node(std::string("n_") + branch, "Neg", {sum}));
    }
    for (Value* output : outputs) b.output(output);
  });
  const Model model = run_checked(before, "fold-affine");
  EXPECT_EQ(ops_of(*model.graph), "Gemm If");
}

}  // namespace
}  // namespace dwindle::testing
