#include "core/kernels/unary_f32/unary_f32.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <vector>

namespace dwindle::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Definition {
  UnaryFunction function;
  std::function<double(double x, double alpha)> exact;
};

double normal_cdf(double x) { return std::erfc(-x / std::sqrt(2.0)) / 2; }
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

const std::vector<Definition>& definitions() {
  static const std::vector<Definition> all = {
      {UnaryFunction::kExp, [](double x, double alpha) { return std::exp(x - alpha); }},
      {UnaryFunction::kSigmoid, [](double x, double) { return sigmoid(x); }},
      {UnaryFunction::kSwish, [](double x, double alpha) { return x * sigmoid(alpha * x); }},
      {UnaryFunction::kTanh, [](double x, double) { return std::tanh(x); }},
      {UnaryFunction::kErf, [](double x, double) { return std::erf(x); }},
      {UnaryFunction::kGelu, [](double x, double) { return x * normal_cdf(x); }},
      {UnaryFunction::kGeluTanh,
       [](double x, double) {
         return x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))) / 2;
       }},
      {UnaryFunction::kMish,
       [](double x, double) { return x * std::tanh(std::log1p(std::exp(x))); }},
      {UnaryFunction::kElu,
       [](double x, double alpha) { return x < 0 ? alpha * std::expm1(x) : x; }},
      {UnaryFunction::kHardSigmoid,
       [](double x, double alpha) { return std::clamp(alpha * x, 0.0, 1.0); }},
      {UnaryFunction::kHardSwish,
       [](double x, double) { return x * std::clamp(x / 6 + 0.5, 0.0, 1.0); }},
  };
  return all;
}

std::vector<float> some_values(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 4);
  std::vector<float> x(size);
  for (float& value : x) value = normal(random);
  const float odd[] = {0.0f, -0.0f, kInfinity, -kInfinity, 1e-40f, -95.0f, 95.0f, NAN};
  for (size_t i = 0; i < size / 9; ++i) x[9 * i + seed % 9] = odd[i % 8];
  return x;
}

// The sign of a NaN is nobody's.
bool same_bits(const std::vector<float>& a, const std::vector<float>& b, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0) return false;
  }
  return true;
}

class UnaryF32Variants : public testing::TestWithParam<Variant<UnaryF32Fn>> {
  void SetUp() override {
    if (!cpu_supports(GetParam().isa)) GTEST_SKIP() << "not on this CPU";
  }
};

TEST_P(UnaryF32Variants, MakesTheBitsOfTheDefinition) {
  const UnaryF32Fn scalar = unary_f32_variants().back().fn;
  for (const Definition& definition : definitions()) {
    for (size_t size : {1, 7, 16, 31, 32, 33, 64, 301}) {
      const std::vector<float> x = some_values(size, static_cast<uint32_t>(size));
      std::vector<float> wanted(size), in_place = x, guarded(size + 1, 7.0f);
      UnaryF32 args{.function = definition.function,
                    .x = x.data(),
                    .count = static_cast<int64_t>(size),
                    .alpha = 0.75f,
                    .y = wanted.data()};
      scalar(args);
      args.y = guarded.data();
      GetParam().fn(args);
      EXPECT_TRUE(same_bits(guarded, wanted, size))
          << static_cast<int>(definition.function) << ", " << size << " values";
      EXPECT_EQ(guarded.back(), 7.0f) << "written past the end";
      args.x = args.y = in_place.data();
      GetParam().fn(args);
      EXPECT_TRUE(same_bits(in_place, wanted, size));
    }
  }
}

TEST_P(UnaryF32Variants, IsRightToFloatsPrecision) {
  for (const Definition& definition : definitions()) {
    const std::vector<float> x = some_values(5000, 3);
    std::vector<float> y(x.size());
    constexpr float kAlpha = 0.75f;
    GetParam().fn({.function = definition.function,
                   .x = x.data(),
                   .count = static_cast<int64_t>(x.size()),
                   .alpha = kAlpha,
                   .y = y.data()});
    for (size_t i = 0; i < x.size(); ++i) {
      const double wanted =
          definition.exact(static_cast<double>(x[i]), static_cast<double>(kAlpha));
      if (std::isnan(wanted) || std::abs(wanted) > 3e38) continue;
      const double scale = std::max(std::abs(wanted), std::abs(static_cast<double>(x[i])) * 0.1);
      EXPECT_NEAR(y[i], wanted, std::min(scale, 1e30) * 2e-6 + 1e-7)
          << static_cast<int>(definition.function) << " of " << x[i];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, UnaryF32Variants,
                         testing::ValuesIn(unary_f32_variants().begin(),
                                           unary_f32_variants().end()),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace dwindle::kernels
