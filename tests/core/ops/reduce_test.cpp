#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/support/error.h"
#include "tests/support/run_op.h"

namespace dwindle {
namespace {

using testing::floats;
using testing::OpCase;
using testing::run_op1;

Tensor ints(std::vector<int64_t> values) {
  return Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values);
}

TEST(ReduceTest, AxesOfAllKinds) {
  const Tensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(to_floats(run_op1({"ReduceSum", {x, ints({0})}})), (std::vector<float>{5, 7, 9}));
  const Tensor rows = run_op1({"ReduceMean", {x, ints({-1})}, {{"keepdims", 0}}});
  EXPECT_EQ(rows.shape(), Dims{2});
  EXPECT_EQ(to_floats(rows), (std::vector<float>{2, 5}));
  EXPECT_EQ(run_op1({"ReduceMax", {x}}).shape(), (Dims{1, 1}));
  OpCase old{"ReduceMax", {x}};
  old.int_lists = {{"axes", {1}}};
  old.opset = 11;
  EXPECT_EQ(to_floats(run_op1(old)), (std::vector<float>{3, 6}));
}

TEST(ReduceTest, NoAxesMeanAllOrNone) {
  const Tensor x = floats({2}, {1, 2});
  EXPECT_EQ(to_floats(run_op1({"ReduceSum", {x, ints({})}})), (std::vector<float>{3}));
  OpCase none{"ReduceSum", {x, ints({})}, {{"noop_with_empty_axes", 1}}};
  EXPECT_EQ(to_floats(run_op1(none)), (std::vector<float>{1, 2}));
  // What is not the reduction itself is still done.
  none.type = "ReduceSumSquare";
  EXPECT_EQ(to_floats(run_op1(none)), (std::vector<float>{1, 4}));
}

TEST(ReduceTest, EmptySets) {
  const Tensor x = Tensor::allocate(DType::kFloat, {2, 0});
  EXPECT_EQ(to_floats(run_op1({"ReduceSum", {x, ints({1})}})), (std::vector<float>{0, 0}));
  EXPECT_EQ(to_floats(run_op1({"ReduceProd", {x, ints({1})}})), (std::vector<float>{1, 1}));
  EXPECT_EQ(to_floats(run_op1({"ReduceMax", {x, ints({1})}}))[0],
            -std::numeric_limits<float>::infinity());
  EXPECT_EQ(run_op1({"ReduceSum", {x, ints({0})}}).shape(), (Dims{1, 0}));
}

TEST(ReduceTest, RefusesAxesOutOfRange) {
  const Tensor x = floats({2}, {1, 2});
  EXPECT_THROW(run_op1({"ReduceSum", {x, ints({1})}}), BadModel);
  EXPECT_THROW(run_op1({"ArgMax", {x}, {{"axis", -2}}}), BadModel);
  EXPECT_THROW(run_op1({"ArgMax", {Tensor::allocate(DType::kFloat, {0})}}), BadModel);
}

TEST(ReduceTest, LogSumExpOfLargeNumbers) {
  const Tensor x = floats({2}, {1000, 1000});
  EXPECT_NEAR(to_floats(run_op1({"ReduceLogSumExp", {x}}))[0], 1000 + std::log(2.0f), 1e-3);
}

TEST(ReduceTest, Cumulative) {
  const Tensor x = floats({3}, {1, 2, 3});
  const Tensor axis = Tensor::scalar<int64_t>(0);
  OpCase product{"CumProd", {x, axis}};
  product.opset = 26;
  EXPECT_EQ(to_floats(run_op1(product)), (std::vector<float>{1, 2, 6}));
  product.ints = {{"exclusive", 1}, {"reverse", 1}};
  EXPECT_EQ(to_floats(run_op1(product)), (std::vector<float>{6, 3, 1}));
}

}  // namespace
}  // namespace dwindle
