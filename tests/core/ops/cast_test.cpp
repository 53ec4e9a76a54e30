#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/ir/small_float.h"
#include "core/support/error.h"
#include "tests/support/run_op.h"

namespace dwindle {
namespace {

using testing::run_op1;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Tensor cast(const Tensor& x, DType to, bool saturate = true) {
  testing::OpCase op{"Cast", {x}};
  op.ints = {{"to", static_cast<int64_t>(to)}, {"saturate", saturate ? 1 : 0}};
  op.opset = 25;
  return run_op1(op);
}

std::vector<float> through(DType dtype, std::vector<float> values, bool saturate = true) {
  const Tensor x = Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
  return to_floats(cast(x, dtype, saturate));
}

TEST(CastTest, RealsTruncateToIntegers) {
  const Tensor x = Tensor::of<float>({4}, std::vector<float>{1.9f, -1.9f, 0.0f, 300.0f});
  EXPECT_EQ(to_int64s(cast(x, DType::kInt32)), (std::vector<int64_t>{1, -1, 0, 300}));
  EXPECT_EQ(to_int64s(cast(x, DType::kUint8)), (std::vector<int64_t>{1, 255, 0, 44}));
  EXPECT_EQ(to_int64s(cast(x, DType::kBool)), (std::vector<int64_t>{1, 1, 0, 1}));
  const Tensor odd = Tensor::of<float>({3}, std::vector<float>{NAN, kInfinity, 1e30f});
  EXPECT_EQ(to_int64s(cast(odd, DType::kInt32)), (std::vector<int64_t>(3, INT32_MIN)));
}

TEST(CastTest, IntegersDropHighBits) {
  const Tensor x = Tensor::of<int64_t>({4}, std::vector<int64_t>{7, -8, 9, 200});
  EXPECT_EQ(to_int64s(cast(x, DType::kInt4)), (std::vector<int64_t>{7, -8, -7, -8}));
  EXPECT_EQ(to_int64s(cast(x, DType::kUint4)), (std::vector<int64_t>{7, 8, 9, 8}));
  EXPECT_EQ(to_int64s(cast(x, DType::kInt2)), (std::vector<int64_t>{-1, 0, 1, 0}));
  EXPECT_EQ(to_int64s(cast(x, DType::kInt8)), (std::vector<int64_t>{7, -8, 9, -56}));
}

TEST(CastTest, PackedIntegersUnpack) {
  const Tensor x = Tensor::of<int64_t>({3}, std::vector<int64_t>{3, -5, 1});
  const Tensor packed = cast(x, DType::kInt4);
  EXPECT_EQ(packed.nbytes(), 2u);
  EXPECT_EQ(to_floats(cast(packed, DType::kFloat)), (std::vector<float>{3, -5, 1}));
}

// Every code is the rounding of its own value: encoding inverts decoding.
TEST(CastTest, SmallFloatsRoundTrip) {
  for (DType dtype :
       {DType::kFloat8E4M3FN, DType::kFloat8E4M3FNUZ, DType::kFloat8E5M2, DType::kFloat8E5M2FNUZ,
        DType::kFloat4E2M1, DType::kFloat6E2M3, DType::kFloat6E3M2, DType::kFloat8E8M0}) {
    for (int code = 0; code < 1 << dtype_bits(dtype); ++code) {
      const float value = decode_small_float(dtype, code);
      if (!std::isfinite(value)) continue;
      EXPECT_EQ(encode_small_float(dtype, value), code) << dtype_name(dtype) << " " << value;
    }
  }
}

TEST(CastTest, SmallFloatsRoundToEvenAndSaturate) {
  // Neighbours of E4M3FN at 16 are 2 apart.
  EXPECT_EQ(through(DType::kFloat8E4M3FN, {17, 19, 1000, -kInfinity}),
            (std::vector<float>{16, 20, 448, -448}));
  EXPECT_TRUE(std::isnan(through(DType::kFloat8E4M3FN, {1000}, false)[0]));
  EXPECT_EQ(through(DType::kFloat8E5M2, {1e6f}, false)[0], kInfinity);
  EXPECT_EQ(through(DType::kFloat8E5M2, {1e6f})[0], 57344);
  EXPECT_EQ(through(DType::kFloat4E2M1, {0.2f, 0.75f, 2.5f, 9, -5}),
            (std::vector<float>{0, 1, 2, 6, -4}));
  EXPECT_TRUE(std::isnan(through(DType::kFloat8E4M3FNUZ, {NAN})[0]));
}

TEST(CastTest, PowersOfTwoRoundUpByDefault) {
  EXPECT_EQ(through(DType::kFloat8E8M0, {1, 1.1f, 3, 4}), (std::vector<float>{1, 2, 4, 4}));
}

// E8M0's least number is a subnormal float: exact itself, and what smaller numbers become.
TEST(CastTest, TheLeastPowerOfTwoIsASubnormalFloat) {
  EXPECT_EQ(through(DType::kFloat8E8M0, {0x1p-127f, 0x1p-128f, 0, 0x1.8p-127f, 0x1p-126f}),
            (std::vector<float>{0x1p-127f, 0x1p-127f, 0x1p-127f, 0x1p-126f, 0x1p-126f}));
}

TEST(CastTest, StringsAndNumbers) {
  const Tensor x = Tensor::strings({3}, {"1.5", "-inf", "12"});
  const auto values = to_floats(cast(x, DType::kFloat));
  EXPECT_EQ(values, (std::vector<float>{1.5f, -kInfinity, 12}));
  EXPECT_THROW(cast(Tensor::strings({1}, {"twelve"}), DType::kFloat), BadModel);
}

TEST(CastTest, RefusesComplexNumbers) {
  EXPECT_THROW(cast(Tensor::zeros(DType::kComplex64, {1}), DType::kFloat), Unsupported);
  EXPECT_THROW(cast(Tensor::zeros(DType::kFloat, {1}), DType::kComplex64), Unsupported);
}

}  // namespace
}  // namespace dwindle
