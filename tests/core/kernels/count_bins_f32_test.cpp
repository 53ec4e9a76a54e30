#include "core/kernels/count_bins_f32/count_bins_f32.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace dwindle::kernels {
namespace {

constexpr int32_t kBins = 64, kZero = 32;

class CountBinsF32Variants : public testing::TestWithParam<Variant<CountBinsF32Fn>> {
  void SetUp() override {
    if (!cpu_supports(GetParam().isa)) GTEST_SKIP() << "not on this CPU";
  }

 public:
  static std::vector<uint32_t> count(const std::vector<float>& values, float inverse, int often) {
    std::vector<uint32_t> counts(2 * kBins, 1);  // added to, not set
    GetParam().fn({.values = values.data(),
                   .count = static_cast<int64_t>(values.size()),
                   .inverse = inverse,
                   .zero = kZero,
                   .bins = kBins,
                   .often = often,
                   .counts = counts.data()});
    std::vector<uint32_t> sums;
    for (size_t i = 0; i < kBins; ++i) sums.push_back(counts[i] + counts[i + kBins] - 2);
    return sums;
  }
};

TEST_P(CountBinsF32Variants, CountsFloors) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-4, 4);
  for (size_t size : {0, 1, 7, 8, 15, 16, 17, 255, 256, 257, 1000}) {
    std::vector<float> values(size);
    for (size_t i = 0; i < size; ++i) {
      const float x = uniform(random);
      // On an edge, below one, a zero of either sign, many of one value, or anything.
      const float kinds[] = {
          std::floor(8 * x) / 8, std::nextafter(std::floor(x), -4.0f), 0, -0.0f, 3, x};
      values[i] = std::max(kinds[i % 6], -4.0f);
    }
    std::vector<uint32_t> expected(kBins);
    for (float x : values) ++expected[static_cast<size_t>(std::floor(x * 8.0f)) + kZero];
    EXPECT_EQ(count(values, 8, kZero + 24), expected) << size;
    EXPECT_EQ(count(values, 8, kZero), expected) << size;
    EXPECT_EQ(count(values, 8, 0), expected) << size;
  }
}

TEST_P(CountBinsF32Variants, TakesDenormals) {
  const float least = std::numeric_limits<float>::denorm_min();
  std::vector<uint32_t> expected(kBins);
  expected[kZero] = 1;
  expected[kZero - 1] = 1;
  EXPECT_EQ(count({least, -least}, 1, kZero), expected);
}

INSTANTIATE_TEST_SUITE_P(All, CountBinsF32Variants,
                         testing::ValuesIn(count_bins_f32_variants().begin(),
                                           count_bins_f32_variants().end()),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace dwindle::kernels
