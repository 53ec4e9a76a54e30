#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

Model product_and_sum(const Shape& x_shape, const Dims& bias, bool bias_first = false) {
  return make_model([&](GraphBuilder& b) {
    Value* x = b.input("x", x_shape);
    Value* m = b.node("m", "MatMul", {x, b.ramp("w", {4, 5})});
    Value* k = b.ramp("k", bias);
    b.output(b.node("y", "Add", bias_first ? std::vector{k, m} : std::vector{m, k}));
  });
}

TEST(FuseMatMulAdd, MakesGemm) {
  const Model after = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {Dim::named("N"), 4});
    Value* w = b.ramp("w", {4, 5});
    b.output(b.node("y", "Gemm", {x, w, b.ramp("k", {5})}));
  });
  expect_pass(product_and_sum({Dim::named("N"), 4}, {5}), "fuse-matmul-add", after);
  expect_pass(product_and_sum({Dim::named("N"), 4}, {5}, true), "fuse-matmul-add", after);
}

TEST(FuseMatMulAdd, LeavesMoreAxesAndOtherSums) {
  expect_untouched(product_and_sum({2, 3, 4}, {5}), "fuse-matmul-add");
  expect_untouched(product_and_sum({3, 4}, {3, 5}), "fuse-matmul-add");
  expect_untouched(product_and_sum({3, 4}, {1}), "fuse-matmul-add");
  expect_untouched(product_and_sum({3, 4}, {1, 1, 5}), "fuse-matmul-add");
}

// What is added is a mask, which a bias of integers could not hold.
TEST(FuseMatMulAdd, LeavesInfinities) {
  const Model masked = make_model([](GraphBuilder& b) {
    Value* m = b.node("m", "MatMul", {b.input("x", {3, 4}), b.ramp("w", {4, 2})});
    b.output(b.node("y", "Add", {m, b.floats("mask", {2}, {0, -INFINITY})}));
  });
  expect_untouched(masked, "fuse-matmul-add");
}

// The bias may be defined behind the product.
Value* sum_with_late_bias(GraphBuilder& b, Value* x) {
  Value* m = b.node("m", "MatMul", {x, b.ramp("w", {4, 4})});
  Value* k = b.node("k", "Constant", {}, {{"value", Tensor::of<float>({4}, {1, 2, 3, 4})}});
  return b.node("s", "Add", {m, k});
}

TEST(FuseMatMulAdd, StandsBehindItsBias) {
  const Model before = make_model([](GraphBuilder& b) {
    b.output(b.node("y", "Relu", {sum_with_late_bias(b, b.input("x", {3, 4}))}));
  });
  const Model model = run_checked(before, "fuse-matmul-add");
  EXPECT_EQ(ops_of(*model.graph), "Constant Gemm Relu");
}

TEST(FuseMatMulAdd, StandsBehindItsBiasInNestedGraphs) {
  const Model before = make_nested_model(
      {3, 4}, [](GraphBuilder& b, Value* x) { b.output(sum_with_late_bias(b, x)); });
  const Model model = run_checked(before, "fuse-matmul-add");
  EXPECT_EQ(ops_of(*model.graph->last_node()->graph_attribute("then_branch")), "Constant Gemm");
}

// A branch may hand out what is computed outside of it, which is a use as any other.
TEST(FuseMatMulAdd, BranchesThatHandOutTheSumFollow) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* condition = b.input("condition", {}, DType::kBool);
    Value* sum = sum_with_late_bias(b, b.input("x", {3, 4}));
    b.output(b.node("y", "If", {condition}));
    b.nested("then_branch").output(sum);
    GraphBuilder other = b.nested("else_branch");
    other.output(other.node("n", "Neg", {sum}));
  });
  const Model model = run_checked(before, "fuse-matmul-add");
  EXPECT_EQ(ops_of(*model.graph), "Constant Gemm If");
}

TEST(FuseMatMulAdd, WorksInNestedGraphs) {
  const Model before = make_nested_model({3, 4}, [](GraphBuilder& b, Value* x) {
    Value* m = b.node("m", "MatMul", {x, b.ramp("w", {4, 4})});
    b.output(b.node("s", "Add", {m, b.ramp("k", {4})}));
  });
  const Model model = run_checked(before, "fuse-matmul-add");
  EXPECT_EQ(ops_of(*model.graph->last_node()->graph_attribute("then_branch")), "Gemm");
}

}  // namespace
}  // namespace dwindle::testing
