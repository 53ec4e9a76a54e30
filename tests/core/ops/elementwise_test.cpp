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

template <typename T>
std::vector<T> values_of(const Tensor& tensor) {
  return {tensor.values<T>().begin(), tensor.values<T>().end()};
}

TEST(ElementwiseTest, BroadcastsChannels) {
  const Tensor x = floats({1, 2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  const Tensor out = run_op1({"Add", {x, floats({2, 1, 1}, {10, 20})}});
  EXPECT_EQ(values_of<float>(out), (std::vector<float>{11, 12, 13, 14, 25, 26, 27, 28}));
}

TEST(ElementwiseTest, BroadcastsBothSides) {
  const Tensor out = run_op1({"Sub", {floats({2, 1}, {10, 20}), floats({1, 3}, {1, 2, 3})}});
  EXPECT_EQ(out.shape(), (Dims{2, 3}));
  EXPECT_EQ(values_of<float>(out), (std::vector<float>{9, 8, 7, 19, 18, 17}));
}

// Long enough that several threads share it, and not by whole rows.
TEST(ElementwiseTest, BroadcastsAcrossThreads) {
  const int64_t rows = 3001, columns = 131;
  Tensor x = Tensor::allocate(DType::kInt64, {rows, columns});
  Tensor y = Tensor::allocate(DType::kInt64, {rows, 1});
  for (int64_t i = 0; i < rows * columns; ++i) x.mutable_data<int64_t>()[i] = i;
  for (int64_t i = 0; i < rows; ++i) y.mutable_data<int64_t>()[i] = i * 1000;
  const Tensor out = run_op1({"Add", {x, y}});
  for (int64_t i = 0; i < rows * columns; ++i) {
    ASSERT_EQ(out.data<int64_t>()[i], i + i / columns * 1000) << i;
  }
}

TEST(ElementwiseTest, EmptyAndScalar) {
  EXPECT_EQ(run_op1({"Mul", {floats({0, 3}, {}), floats({1, 3}, {1, 2, 3})}}).shape(),
            (Dims{0, 3}));
  const Tensor out = run_op1({"Mul", {floats({}, {3}), floats({}, {4})}});
  EXPECT_EQ(out.shape(), Dims{});
  EXPECT_EQ(*out.data<float>(), 12);
}

TEST(ElementwiseTest, RefusesWhatDoesNotFit) {
  OpCase shapes{"Add", {floats({2}, {1, 2}), floats({3}, {1, 2, 3})}};
  EXPECT_THROW(run_op1(shapes), BadModel);
  OpCase types{"Add", {floats({1}, {1}), Tensor::of<int32_t>({1}, std::vector<int32_t>{1})}};
  EXPECT_THROW(run_op1(types), BadModel);
  OpCase strings{"Add", {Tensor::strings({1}, {"a"}), Tensor::strings({1}, {"b"})}};
  EXPECT_THROW(run_op1(strings), Unsupported);
}

TEST(ElementwiseTest, IntegerDivisionTruncatesAndRefusesZero) {
  const Tensor a = Tensor::of<int32_t>({3}, std::vector<int32_t>{-7, 7, INT32_MIN});
  const Tensor b = Tensor::of<int32_t>({3}, std::vector<int32_t>{2, -2, -1});
  EXPECT_EQ(values_of<int32_t>(run_op1({"Div", {a, b}})),
            (std::vector<int32_t>{-3, -3, INT32_MIN}));
  const Tensor zero = Tensor::of<int32_t>({1}, std::vector<int32_t>{0});
  EXPECT_THROW(run_op1({"Div", {a, zero}}), BadModel);
  EXPECT_THROW(run_op1({"Mod", {a, zero}}), BadModel);
}

TEST(ElementwiseTest, ModFollowsDivisorOrDividend) {
  const Tensor a = Tensor::of<int64_t>({4}, std::vector<int64_t>{-7, 7, -7, 7});
  const Tensor b = Tensor::of<int64_t>({4}, std::vector<int64_t>{3, -3, -3, 3});
  EXPECT_EQ(values_of<int64_t>(run_op1({"Mod", {a, b}})), (std::vector<int64_t>{2, -2, -1, 1}));
  EXPECT_EQ(values_of<int64_t>(run_op1({"Mod", {a, b}, {{"fmod", 1}}})),
            (std::vector<int64_t>{-1, 1, -1, 1}));
}

TEST(ElementwiseTest, HalvesGoThroughFloat) {
  Tensor x = Tensor::allocate(DType::kFloat16, {2});
  x.mutable_data<Float16>()[0] = to_float16(1.5f);
  x.mutable_data<Float16>()[1] = to_float16(-2.0f);
  const Tensor out = run_op1({"Relu", {x}});
  ASSERT_EQ(out.dtype(), DType::kFloat16);
  EXPECT_EQ(to_float(out.data<Float16>()[0]), 1.5f);
  EXPECT_EQ(to_float(out.data<Float16>()[1]), 0.0f);
}

TEST(ElementwiseTest, ClipTakesBoundsFromInputsOrAttributes) {
  const Tensor x = floats({4}, {-2, 0.5, 3, NAN});
  const Tensor inputs = run_op1({"Clip", {x, floats({}, {-1}), floats({}, {2})}});
  EXPECT_EQ(inputs.data<float>()[0], -1);
  EXPECT_EQ(inputs.data<float>()[1], 0.5);
  EXPECT_EQ(inputs.data<float>()[2], 2);
  EXPECT_TRUE(std::isnan(inputs.data<float>()[3]));
  OpCase old{"Clip", {x}, {}, {{"min", 0.0f}, {"max", 1.0f}}};
  old.opset = 6;
  EXPECT_EQ(values_of<float>(run_op1(old))[0], 0);
  EXPECT_EQ(values_of<float>(run_op1(old))[2], 1);
  const Tensor upper = run_op1({"Clip", {x, Tensor(), floats({}, {1})}});
  EXPECT_EQ(upper.data<float>()[0], -2);
  EXPECT_EQ(upper.data<float>()[2], 1);
}

TEST(ElementwiseTest, PowKeepsTheTypeOfTheBase) {
  const Tensor base = Tensor::of<int32_t>({3}, std::vector<int32_t>{2, -3, 5});
  const Tensor out = run_op1({"Pow", {base, floats({}, {2})}});
  EXPECT_EQ(values_of<int32_t>(out), (std::vector<int32_t>{4, 9, 25}));
  const Tensor whole = Tensor::of<int64_t>({}, std::vector<int64_t>{3});
  EXPECT_EQ(values_of<int32_t>(run_op1({"Pow", {base, whole}})),
            (std::vector<int32_t>{8, -27, 125}));
}

TEST(ElementwiseTest, WhereChoosesBytesOfAnyWidth) {
  const Tensor condition = Tensor::of<bool>({2, 1}, std::span<const bool>((bool[]){true, false}));
  const Tensor x = Tensor::strings({2}, {"a", "b"});
  const Tensor y = Tensor::strings({}, {"z"});
  const Tensor out = run_op1({"Where", {condition, x, y}});
  EXPECT_EQ(out.string_values(), (std::vector<std::string>{"a", "b", "z", "z"}));
}

TEST(ElementwiseTest, ShiftsByMoreThanTheWidth) {
  const Tensor x = Tensor::of<uint8_t>({3}, std::vector<uint8_t>{1, 255, 16});
  const Tensor by = Tensor::of<uint8_t>({3}, std::vector<uint8_t>{3, 8, 2});
  EXPECT_EQ(values_of<uint8_t>(run_op1({"BitShift", {x, by}, {}, {}, {{"direction", "LEFT"}}})),
            (std::vector<uint8_t>{8, 0, 64}));
  EXPECT_EQ(values_of<uint8_t>(run_op1({"BitShift", {x, by}, {}, {}, {{"direction", "RIGHT"}}})),
            (std::vector<uint8_t>{0, 0, 4}));
}

}  // namespace
}  // namespace dwindle
