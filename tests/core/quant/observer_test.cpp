#include "core/quant/observer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "core/quant/histogram.h"
#include "core/quant/params.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

std::vector<float> normal_values(size_t count, float deviation, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

TEST(Histogram, CountsAreThoseOfDirectBinning) {
  const std::vector<float> values = normal_values(10000, 3, 1);
  Histogram histogram;
  histogram.add(values);
  std::vector<uint64_t> expected(Histogram::kBins);
  for (float value : values) {
    ++expected[static_cast<size_t>(std::floor(value / histogram.bin_width()) + Histogram::kZero)];
  }
  EXPECT_EQ(histogram.counts(), expected);
  EXPECT_EQ(histogram.total(), values.size());
}

TEST(Histogram, DoesNotDependOnOrderOrSplit) {
  std::vector<float> values = normal_values(5000, 0.01f, 2);
  values.push_back(1000);
  values.push_back(-1e-30f);
  Histogram whole, parts;
  whole.add(values);
  std::reverse(values.begin(), values.end());
  for (size_t i = 0; i < values.size(); i += 37) {
    parts.add(std::span(values).subspan(i, std::min<size_t>(37, values.size() - i)));
  }
  EXPECT_EQ(whole.counts(), parts.counts());
  EXPECT_EQ(whole.bin_width(), parts.bin_width());
  EXPECT_EQ(whole.min(), parts.min());
  EXPECT_EQ(whole.max(), parts.max());
}

TEST(Histogram, TakesTheLargestAndSmallestFloats) {
  Histogram histogram;
  histogram.add(std::vector<float>{3e38f, -3.4e38f, 1e-45f, 0.0f, -0.0f});
  EXPECT_EQ(histogram.total(), 5u);
  uint64_t sum = 0;
  for (uint64_t count : histogram.counts()) sum += count;
  EXPECT_EQ(sum, 5u);
}

TEST(Observer, ReportsWhereANanIs) {
  for (auto method : {CalibrationMethod::kMinMax, CalibrationMethod::kMse}) {
    const auto observer = make_observer({.method = method});
    std::vector<float> values(100, 1.0f);
    values[42] = NAN;
    try {
      observer->observe(values);
      FAIL() << "no error";
    } catch (const BadData& error) {
      EXPECT_NE(std::string(error.what()).find("NaN at element 42"), std::string::npos);
    }
    values[42] = -INFINITY;
    EXPECT_THROW(observer->observe(values), BadData);
  }
}

TEST(Observer, MinMaxHoldsAllValuesAndZero) {
  const auto observer = make_observer({.method = CalibrationMethod::kMinMax});
  observer->observe(std::vector<float>{2, 5});
  observer->observe(std::vector<float>{3, 9, 4});
  EXPECT_EQ(observer->range().low, 0);
  EXPECT_EQ(observer->range().high, 9);
}

TEST(Observer, PercentileLeavesOutTheGivenShare) {
  const auto observer = make_observer({.method = CalibrationMethod::kPercentile, .percentile = 99});
  std::vector<float> values(10000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) / 100;
  observer->observe(values);
  EXPECT_NEAR(observer->range().high, 99, 0.1);
  EXPECT_EQ(observer->range().low, 0);
}

double mse(const std::vector<float>& values, Range range) {
  const QuantParams params = choose_params(range.low, range.high, DType::kUint8, false);
  double sum = 0;
  for (float x : values) {
    const double error = x - dequantize(quantize(x, params, {0, 255}), params);
    sum += error * error;
  }
  return sum / static_cast<double>(values.size());
}

TEST(Observer, MseIsNotWorseThanAnyRangeOfAGrid) {
  for (unsigned seed : {3u, 4u, 5u}) {
    std::vector<float> values = normal_values(20000, 1, seed);
    if (seed == 4) {
      for (float& value : values) value = std::max(value, 0.0f);
    }
    for (float& value : values) value = value * std::fabs(value);  // long tails
    const auto observer = make_observer({.method = CalibrationMethod::kMse});
    observer->observe(values);
    const double found = mse(values, observer->range());
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    for (float a = 0.2f; a <= 1; a += 0.1f) {
      for (float b = 0.2f; b <= 1; b += 0.1f) {
        EXPECT_LE(found, mse(values, {*low * a, *high * b}) * 1.02);
      }
    }
  }
}

TEST(Observer, EntropyCutsALongTailButKeepsAUniformRange) {
  const auto tail = make_observer({.method = CalibrationMethod::kEntropy});
  std::vector<float> values = normal_values(50000, 1, 6);
  values.push_back(100);
  tail->observe(values);
  EXPECT_LT(tail->range().high, 20);
  EXPECT_GT(tail->range().high, 2.5);

  const auto uniform = make_observer({.method = CalibrationMethod::kEntropy});
  std::vector<float> even(50000);
  for (size_t i = 0; i < even.size(); ++i) even[i] = static_cast<float>(i) / 50000 - 0.5f;
  uniform->observe(even);
  EXPECT_GT(uniform->range().high, 0.45);
}

TEST(Observer, NothingObservedIsAnEmptyRange) {
  for (auto method : {CalibrationMethod::kMinMax, CalibrationMethod::kPercentile,
                      CalibrationMethod::kEntropy, CalibrationMethod::kMse}) {
    const auto observer = make_observer({.method = method});
    observer->observe({});
    EXPECT_EQ(observer->range().low, 0);
    EXPECT_EQ(observer->range().high, 0);
    observer->observe(std::vector<float>(10, 0.0f));
    EXPECT_EQ(observer->range().high, 0);
  }
}

TEST(Observer, RefusesImpossiblePercentiles) {
  EXPECT_THROW(make_observer({.method = CalibrationMethod::kPercentile, .percentile = 101}),
               BadOption);
  EXPECT_THROW(calibration_method("maximum"), BadOption);
}

}  // namespace
}  // namespace dwindle
