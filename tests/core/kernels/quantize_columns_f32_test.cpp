#include "core/kernels/quantize_columns_f32/quantize_columns_f32.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace dwindle::kernels {
namespace {

constexpr int kColumns = kQuantizedColumns;

struct Result {
  std::vector<int8_t> q;
  std::vector<float> scale, signal, noise;
};

struct Problem {
  int64_t rows;
  float low, high;
  std::vector<float> shares;
  std::vector<float> x;

  explicit Problem(std::mt19937& rng) {
    rows = std::vector<int64_t>{1, 2, 7, 16, 32, 33, 128}[rng() % 7];
    const int bits = std::vector<int>{2, 4, 8}[rng() % 3];
    high = static_cast<float>((1 << (bits - 1)) - 1);
    low = bits == 8 ? -high : -high - 1;
    const size_t candidates = rng() % 3 == 0 ? 1 : 16;
    for (size_t i = 0; i < candidates; ++i) shares.push_back(1 - 0.04f * static_cast<float>(i));
    std::normal_distribution<float> normal;
    x.resize(static_cast<size_t>(rows) * kColumns);
    for (float& value : x) value = normal(rng);
    for (int64_t r = 0; r < rows; ++r) {
      float* row = x.data() + r * kColumns;
      row[3] = 0;        // a column of zeros
      row[4] *= 1e-30f;  // below the least scale
      row[5] *= 1e30f;
      row[6] = std::fabs(row[6]);  // one sign
      row[7] = -std::fabs(row[7]);
      row[8] = std::round(row[8]) / 2;  // ties
    }
  }

  Result run(QuantizeColumnsF32Fn kernel) const {
    alignas(64) static float in[128 * kColumns];
    alignas(64) static int8_t out[129 * kColumns];
    std::copy(x.begin(), x.end(), in);
    std::fill(std::begin(out), std::end(out), int8_t{99});
    Result result{{},
                  std::vector<float>(kColumns),
                  std::vector<float>(kColumns),
                  std::vector<float>(kColumns)};
    kernel({in, rows, low, high, shares.data(), static_cast<int>(shares.size()), 1e-18f, out,
            result.scale.data(), result.signal.data(), result.noise.data()});
    EXPECT_EQ(out[rows * kColumns], 99) << "wrote past q";
    result.q.assign(out, out + rows * kColumns);
    return result;
  }
};

class QuantizeColumnsF32Variants : public testing::TestWithParam<Variant<QuantizeColumnsF32Fn>> {};

TEST_P(QuantizeColumnsF32Variants, SameBitsAsScalar) {
  if (!cpu_supports(GetParam().isa)) GTEST_SKIP() << "this CPU lacks it";
  std::mt19937 rng(1);
  for (int round = 0; round < 200; ++round) {
    Problem problem(rng);
    if (round % 4 == 0) problem.x[static_cast<size_t>(rng() % problem.x.size())] = std::nanf("");
    if (round % 4 == 1) problem.x[static_cast<size_t>(rng() % problem.x.size())] = -HUGE_VALF;
    const Result got = problem.run(GetParam().fn);
    const Result expected = problem.run(quantize_columns_f32_variants().back().fn);
    for (int c = 0; c < kColumns; ++c) {
      const auto at = static_cast<size_t>(c);
      // The bits of a NaN are no part of the contract.
      if (std::isnan(expected.signal[at])) {
        ASSERT_TRUE(std::isnan(got.signal[at])) << round << " column " << c;
        continue;
      }
      ASSERT_EQ(got.scale[at], expected.scale[at]) << round << " column " << c;
      ASSERT_EQ(got.signal[at], expected.signal[at]);
      ASSERT_EQ(got.noise[at], expected.noise[at]);
      for (int64_t r = 0; r < problem.rows; ++r) {
        ASSERT_EQ(got.q[static_cast<size_t>(r * kColumns + c)],
                  expected.q[static_cast<size_t>(r * kColumns + c)]);
      }
    }
  }
}

// Against the definition in double.
TEST_P(QuantizeColumnsF32Variants, NoCandidateIsMuchBetter) {
  if (!cpu_supports(GetParam().isa)) GTEST_SKIP() << "this CPU lacks it";
  std::mt19937 rng(2);
  for (int round = 0; round < 60; ++round) {
    const Problem problem(rng);
    const Result got = problem.run(GetParam().fn);
    for (int c = 0; c < kColumns; ++c) {
      const auto at = static_cast<size_t>(c);
      double most = 0;
      for (int64_t r = 0; r < problem.rows; ++r) {
        const double x = problem.x[static_cast<size_t>(r * kColumns + c)];
        most = std::max({most, x / problem.low, x / problem.high});
      }
      const double full = most > 0 ? most : 1;
      auto error = [&](double scale) {
        double sum = 0;
        for (int64_t r = 0; r < problem.rows; ++r) {
          const double t = problem.x[static_cast<size_t>(r * kColumns + c)] / scale;
          const double q = std::nearbyint(
              std::clamp(t, static_cast<double>(problem.low), static_cast<double>(problem.high)));
          sum += (q - t) * (q - t) * scale * scale;
        }
        return sum;
      };
      double least = std::numeric_limits<double>::infinity();
      for (float share : problem.shares)
        least = std::min(least, error(std::max(full * share, 1e-18)));
      const double own = error(got.scale[at]);
      ASSERT_LE(own, least * 1.001 + 1e-9 * full * full) << round << " column " << c;
      const double unit = static_cast<double>(got.scale[at]) * static_cast<double>(got.scale[at]);
      ASSERT_NEAR(got.noise[at], own / unit, 1e-3 * own / unit + 1e-5);
    }
  }
}

TEST_P(QuantizeColumnsF32Variants, SignalTellsWhatIsNotFinite) {
  if (!cpu_supports(GetParam().isa)) GTEST_SKIP() << "this CPU lacks it";
  std::mt19937 rng(3);
  for (float bad : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
    Problem problem(rng);
    problem.x[9] = std::numeric_limits<float>::max();
    problem.x[10] = std::numeric_limits<float>::denorm_min();
    problem.x.back() = bad;
    const Result got = problem.run(GetParam().fn);
    for (int c = 0; c < kColumns; ++c) {
      EXPECT_EQ(std::isfinite(got.signal[static_cast<size_t>(c)]), c + 1 < kColumns) << c;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, QuantizeColumnsF32Variants,
                         testing::ValuesIn(quantize_columns_f32_variants().begin(),
                                           quantize_columns_f32_variants().end()),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace dwindle::kernels
