#include <gtest/gtest.h>

#include <cmath>

#include "core/quant/params.h"
#include "core/support/error.h"
#include "tests/support/run_op.h"

namespace dwindle {
namespace {

using testing::floats;
using testing::OpCase;
using testing::run_op1;

TEST(QuantizeTest, RoundsHalfToEvenAndSaturates) {
  const Tensor x = floats({7}, {0.5f, 1.5f, 2.5f, -0.5f, 1000, -1000, NAN});
  const Tensor zero = Tensor::scalar<uint8_t>(10);
  const Tensor q = run_op1({"QuantizeLinear", {x, floats({}, {1}), zero}});
  EXPECT_EQ(to_int64s(q), (std::vector<int64_t>{10, 12, 12, 10, 255, 0, 0}));
}

// The vectorized loop is the definition in core/quant.
TEST(QuantizeTest, AgreesWithTheDefinition) {
  std::vector<float> values;
  for (int i = -5000; i < 5000; ++i) values.push_back(static_cast<float>(i) * 0.0371f);
  const Tensor x = floats({static_cast<int64_t>(values.size())}, values);
  const Tensor q = run_op1({"QuantizeLinear", {x, floats({}, {0.7f}), Tensor::scalar<int8_t>(-3)}});
  const auto quantized = to_int64s(q);
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(quantized[i], quantize(values[i], {0.7f, -3}, integer_range(DType::kInt8))) << i;
  }
}

TEST(QuantizeTest, PackedTypesAndBlocks) {
  const Tensor x = floats({2, 4}, {1, 2, 3, 4, 10, 20, 30, -90});
  const Tensor scale = floats({2, 2}, {1, 2, 10, 20});
  OpCase op{"QuantizeLinear", {x, scale}};
  op.ints = {{"axis", 1}, {"block_size", 2}, {"output_dtype", static_cast<int64_t>(DType::kInt4)}};
  const Tensor q = run_op1(op);
  EXPECT_EQ(q.dtype(), DType::kInt4);
  EXPECT_EQ(to_int64s(q), (std::vector<int64_t>{1, 2, 2, 2, 1, 2, 2, -4}));
  OpCase back{"DequantizeLinear", {q, scale}};
  back.ints = {{"axis", 1}, {"block_size", 2}};
  EXPECT_EQ(to_floats(run_op1(back)), (std::vector<float>{1, 2, 4, 4, 10, 20, 40, -80}));
}

TEST(QuantizeTest, BlocksAlongTheFirstAxis) {
  const Tensor q = integer_tensor({1, 2, 3, 1, 2, 3, 1, 2, 3}, {3, 3}, DType::kUint2);
  OpCase op{"DequantizeLinear", {q, floats({2, 3}, {1, 2, 3, 10, 20, 30})}};
  op.ints = {{"axis", 0}, {"block_size", 2}};
  EXPECT_EQ(to_floats(run_op1(op)), (std::vector<float>{1, 4, 9, 1, 4, 9, 10, 40, 90}));
  // Constant weights are dequantized once and kept: the second run gives the same.
  op.constants = true;
  Model model = testing::op_model(op);
  FloatExecutor executor(model);
  const TensorMap first = executor.run({});
  EXPECT_TRUE(first.begin()->second.identical(executor.run({}).begin()->second));
}

TEST(QuantizeTest, HalvesAndFloat8) {
  Tensor scale = Tensor::allocate(DType::kFloat16, {});
  *scale.mutable_data<Float16>() = to_float16(0.5f);
  const Tensor q = Tensor::of<int8_t>({2}, std::vector<int8_t>{4, -6});
  const Tensor x = run_op1({"DequantizeLinear", {q, scale}});
  EXPECT_EQ(x.dtype(), DType::kFloat16);
  EXPECT_EQ(to_floats(x), (std::vector<float>{2, -3}));
  OpCase wide{"DequantizeLinear", {q, scale}, {{"output_dtype", 1}}};
  wide.opset = 23;
  EXPECT_EQ(run_op1(wide).dtype(), DType::kFloat);
  OpCase small{"QuantizeLinear", {floats({2}, {3, 1000}), floats({}, {1})}};
  small.ints = {{"output_dtype", static_cast<int64_t>(DType::kFloat8E4M3FN)}};
  EXPECT_EQ(to_floats(run_op1(small)), (std::vector<float>{3, 448}));
}

TEST(QuantizeTest, RefusesScalesThatDoNotFit) {
  const Tensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_THROW(run_op1({"QuantizeLinear", {x, floats({2}, {1, 1})}}), BadModel);
  EXPECT_THROW(run_op1({"QuantizeLinear", {x, floats({2}, {1, 1})}, {{"axis", 5}}}), BadModel);
  EXPECT_THROW(
      run_op1(
          {"QuantizeLinear", {x, floats({2}, {1, 1}), Tensor::scalar<int8_t>(0)}, {{"axis", 0}}}),
      BadModel);
  OpCase blocks{"QuantizeLinear", {x, floats({2, 3}, {1, 1, 1, 1, 1, 1})}};
  blocks.ints = {{"axis", 1}, {"block_size", 2}};
  EXPECT_THROW(run_op1(blocks), BadModel);
}

TEST(QuantizeTest, EmptyTensors) {
  const Tensor x = Tensor::allocate(DType::kFloat, {0, 3});
  const Tensor q = run_op1({"QuantizeLinear", {x, floats({3}, {1, 2, 3})}});
  EXPECT_EQ(q.shape(), (Dims{0, 3}));
}

TEST(QuantizeTest, AxesOfNothing) {
  struct Case {
    Dims shape, scale;
    int64_t axis, block_size;
  };
  const Case cases[] = {
      {{5, 0}, {0}, 1, 0},    {{0, 5}, {0}, 0, 0},    {{5, 0}, {5}, 0, 0},    {{0}, {0}, 0, 0},
      {{5, 0}, {5, 0}, 1, 2}, {{5, 0}, {3, 0}, 0, 2}, {{0, 5}, {0, 3}, 1, 2},
  };
  for (const Case& c : cases) {
    const Tensor scale = Tensor::zeros(DType::kFloat, c.scale);
    for (const bool quantizes : {true, false}) {
      OpCase op{quantizes ? "QuantizeLinear" : "DequantizeLinear", {}};
      op.inputs = {Tensor::zeros(quantizes ? DType::kFloat : DType::kInt8, c.shape), scale,
                   Tensor::zeros(DType::kInt8, c.scale)};
      op.ints = {{"axis", c.axis}, {"block_size", c.block_size}};
      EXPECT_EQ(run_op1(op).shape(), c.shape)
          << op.type << to_string(c.shape) << " axis " << c.axis << " blocks of " << c.block_size;
    }
  }
}

}  // namespace
}  // namespace dwindle
