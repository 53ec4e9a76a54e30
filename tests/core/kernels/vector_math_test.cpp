#include "core/kernels/vector_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace dwindle {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The largest error over [low, high] in units of float's precision at the true value.
template <typename F, typename G>
double worst_error(float low, float high, const F& fast, const G& exact) {
  double worst = 0;
  constexpr int kSteps = 200000;
  for (int i = 0; i <= kSteps; ++i) {
    const float x = low + (high - low) * static_cast<float>(i) / kSteps;
    const double want = exact(static_cast<double>(x));
    const double unit = std::max(std::abs(want), 1e-37) * std::numeric_limits<float>::epsilon();
    worst = std::max(worst, std::abs(static_cast<double>(fast(x)) - want) / unit);
  }
  return worst;
}

TEST(VectorMathTest, ExpIsRightToFewUnits) {
  auto fast = [](float x) { return fast_exp(x); };
  auto exact = [](double x) { return std::exp(x); };
  EXPECT_LT(worst_error(-87, 88, fast, exact), 2.5);
  EXPECT_LT(worst_error(-1, 1, fast, exact), 1.5);
}

TEST(VectorMathTest, ExpAtItsEnds) {
  EXPECT_EQ(fast_exp(kInfinity), kInfinity);
  EXPECT_EQ(fast_exp(100.0f), kInfinity);
  EXPECT_EQ(fast_exp(-kInfinity), 0);
  EXPECT_EQ(fast_exp(0.0f), 1);
  EXPECT_TRUE(std::isnan(fast_exp(NAN)));
  EXPECT_NEAR(fast_exp(-100.0f), std::exp(-100.0), 2e-45);  // subnormal
}

TEST(VectorMathTest, TanhIsRightToFewUnits) {
  auto fast = [](float x) { return fast_tanh(x); };
  auto exact = [](double x) { return std::tanh(x); };
  EXPECT_LT(worst_error(-12, 12, fast, exact), 4);
  EXPECT_LT(worst_error(-1e-3f, 1e-3f, fast, exact), 2);
  EXPECT_EQ(fast_tanh(kInfinity), 1);
  EXPECT_EQ(fast_tanh(-kInfinity), -1);
  EXPECT_TRUE(std::isnan(fast_tanh(NAN)));
}

TEST(VectorMathTest, ErfIsRightToFewUnits) {
  auto fast = [](float x) { return fast_erf(x); };
  auto exact = [](double x) { return std::erf(x); };
  EXPECT_LT(worst_error(-6, 6, fast, exact), 4);
  EXPECT_EQ(fast_erf(kInfinity), 1);
  EXPECT_TRUE(std::isnan(fast_erf(NAN)));
}

}  // namespace
}  // namespace dwindle
