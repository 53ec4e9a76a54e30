#include "core/quant/params.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "core/support/error.h"

namespace dwindle {
namespace {

TEST(QuantParams, ZeroIsExactAndEndsAreWithinHalfAStep) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> end(-30, 30);
  for (DType dtype : {DType::kUint8, DType::kInt8, DType::kUint16, DType::kInt16}) {
    for (int i = 0; i < 200; ++i) {
      const float a = end(random), b = end(random);
      const float low = std::min(a, b), high = std::max(a, b);
      const QuantParams params = choose_params(low, high, dtype, false);
      const IntegerRange range = integer_range(dtype);
      EXPECT_EQ(dequantize(quantize(0, params, range), params), 0.0f);
      for (float x : {std::min(low, 0.0f), std::max(high, 0.0f)}) {
        EXPECT_NEAR(dequantize(quantize(x, params, range), params), x, params.scale * 0.501f);
      }
    }
  }
}

TEST(QuantParams, SymmetricHasTheZeroPointInTheMiddle) {
  EXPECT_EQ(choose_params(-1, 3, DType::kInt8, true).zero_point, 0);
  EXPECT_FLOAT_EQ(choose_params(-1, 3, DType::kInt8, true).scale, 3.0f / 127);
  EXPECT_EQ(choose_params(-1, 3, DType::kUint8, true).zero_point, 128);
}

TEST(QuantParams, EmptyAndTinyRangesGiveNormalScales) {
  for (DType dtype : {DType::kUint8, DType::kInt16}) {
    for (bool symmetric : {false, true}) {
      const QuantParams params = choose_params(0, 0, dtype, symmetric);
      EXPECT_EQ(params.scale, choose_params(0, 1, dtype, symmetric).scale);
      EXPECT_EQ(params.zero_point, choose_params(0, 1, dtype, symmetric).zero_point);
    }
  }
  const float scale = choose_params(0, 1e-40f, DType::kUint8, false).scale;
  EXPECT_TRUE(std::isnormal(scale * scale));
}

TEST(QuantParams, HugeRangesDoNotOverflow) {
  const QuantParams params = choose_params(-3e38f, 3e38f, DType::kUint8, false);
  EXPECT_TRUE(std::isfinite(params.scale));
}

TEST(QuantParams, RefusesRangesThatAreNotFinite) {
  EXPECT_THROW(choose_params(0, INFINITY, DType::kUint8, false), BadData);
  EXPECT_THROW(choose_params(NAN, 1, DType::kUint8, false), BadData);
}

TEST(QuantParams, RoundsHalfToEvenAndSaturates) {
  const IntegerRange range = integer_range(DType::kInt8);
  EXPECT_EQ(quantize(0.5f, {1, 0}, range), 0);
  EXPECT_EQ(quantize(1.5f, {1, 0}, range), 2);
  EXPECT_EQ(quantize(-2.5f, {1, 0}, range), -2);
  EXPECT_EQ(quantize(1e9f, {1, 0}, range), 127);
  EXPECT_EQ(quantize(-1e9f, {1, 0}, range), -128);
}

TEST(IntegerTensor, PacksSmallIntegersLowBitsFirst) {
  const Tensor packed = integer_tensor({1, -2, 7}, {3}, DType::kInt4);
  ASSERT_EQ(packed.nbytes(), 2u);
  EXPECT_EQ(static_cast<int>(packed.bytes()[0]), 0xe1);
  EXPECT_EQ(to_int64s(packed), (std::vector<int64_t>{1, -2, 7}));
}

}  // namespace
}  // namespace dwindle
