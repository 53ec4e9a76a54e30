#include "core/kernels/fake_quant_f32/fake_quant_f32.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "core/quant/params.h"

namespace dwindle::kernels {
namespace {

class FakeQuantF32Variants : public testing::TestWithParam<Variant<FakeQuantF32Fn>> {
  void SetUp() override {
    if (!cpu_supports(GetParam().isa)) GTEST_SKIP() << "not on this CPU";
  }
};

// Beside the one definition of quantized numbers, bit by bit: ties, both ends, -0, infinities.
TEST_P(FakeQuantF32Variants, IsQuantizeAndDequantize) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-40, 40);
  const struct {
    QuantParams params;
    IntegerRange range;
  } kCases[] = {{{0.25f, 0}, {-128, 127}},
                {{0.25f, 3}, {0, 255}},
                {{0.1f, 117}, {0, 255}},
                {{3e-3f, -5}, {-32768, 32767}},
                {{1e-18f, 0}, {0, 255}}};
  for (const auto& [params, range] : kCases) {
    for (size_t size : {1, 8, 15, 17, 40, 99}) {
      std::vector<float> x(size), y(size);
      for (size_t i = 0; i < size; ++i) x[i] = uniform(random);
      for (size_t i = 0; i < size; i += 3) x[i] = (std::floor(x[i]) + 0.5f) * params.scale;
      const float odd[] = {-0.0f, INFINITY, -INFINITY, 3e38f, 1e-45f};
      for (size_t i = 0; i < size / 8; ++i) x[8 * i] = odd[i % 5];
      GetParam().fn({.x = x.data(),
                     .count = static_cast<int64_t>(size),
                     .scale = params.scale,
                     .low = static_cast<float>(range.min - params.zero_point),
                     .high = static_cast<float>(range.max - params.zero_point),
                     .y = y.data()});
      for (size_t i = 0; i < size; ++i) {
        const float expected = dequantize(quantize(x[i], params, range), params);
        EXPECT_EQ(std::memcmp(&expected, &y[i], 4), 0)
            << x[i] << " by " << params.scale << ": " << y[i] << ", not " << expected;
      }
    }
  }
}

TEST_P(FakeQuantF32Variants, NanIsTheLeastIntegerAndInPlaceIsFine) {
  std::vector<float> x(33, NAN);
  x[5] = 1.3f;
  GetParam().fn({.x = x.data(), .count = 33, .scale = 0.5f, .low = -8, .high = 7, .y = x.data()});
  for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(x[i], i == 5 ? 1.5f : -4.0f) << i;
}

INSTANTIATE_TEST_SUITE_P(All, FakeQuantF32Variants,
                         testing::ValuesIn(fake_quant_f32_variants().begin(),
                                           fake_quant_f32_variants().end()),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace dwindle::kernels
