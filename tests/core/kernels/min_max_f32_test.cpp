#include "core/kernels/min_max_f32/min_max_f32.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace dwindle::kernels {
namespace {

class MinMaxF32Variants : public testing::TestWithParam<Variant<MinMaxF32Fn>> {
  void SetUp() override {
    if (!cpu_supports(GetParam().isa)) GTEST_SKIP() << "not on this CPU";
  }
};

// Sizes round the vector widths, the extremes at every place.
TEST_P(MinMaxF32Variants, FindsTheExtremesAnywhere) {
  const MinMaxF32Fn fn = GetParam().fn;
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (int64_t size = 1; size <= 150; ++size) {
    std::vector<float> values(static_cast<size_t>(size));
    for (float& value : values) value = uniform(random);
    const size_t place = static_cast<size_t>(size * size) % values.size();
    const float before = values[place];
    values[place] = 7;
    EXPECT_EQ(fn(values.data(), size).max, 7) << size;
    values[place] = -7;
    const MinMaxF32 found = fn(values.data(), size);
    EXPECT_EQ(found.min, -7) << size;
    EXPECT_TRUE(found.finite);
    for (float odd : {NAN, INFINITY, -INFINITY}) {
      values[place] = odd;
      EXPECT_FALSE(fn(values.data(), size).finite) << size << " " << odd;
    }
    values[place] = before;
    EXPECT_EQ(fn(values.data(), size).max, *std::max_element(values.begin(), values.end()));
  }
}

TEST_P(MinMaxF32Variants, ZerosArePositiveAndNothingIsEmpty) {
  const std::vector<float> zeros(40, -0.0f);
  const MinMaxF32 found = GetParam().fn(zeros.data(), 40);
  EXPECT_FALSE(std::signbit(found.min));
  EXPECT_FALSE(std::signbit(found.max));
  const MinMaxF32 none = GetParam().fn(zeros.data(), 0);
  EXPECT_EQ(none.min, INFINITY);
  EXPECT_EQ(none.max, -INFINITY);
  EXPECT_TRUE(none.finite);
}

INSTANTIATE_TEST_SUITE_P(All, MinMaxF32Variants,
                         testing::ValuesIn(min_max_f32_variants().begin(),
                                           min_max_f32_variants().end()),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace dwindle::kernels
