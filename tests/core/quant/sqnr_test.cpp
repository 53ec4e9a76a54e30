#include "core/quant/sqnr.h"

#include <gtest/gtest.h>

#include <vector>

namespace dwindle {
namespace {

constexpr float kInf = HUGE_VALF;

double db(const std::vector<float>& reference, const std::vector<float>& other) {
  Sqnr sqnr;
  sqnr.add(reference, other);
  return sqnr.db();
}

// In the lanes and behind them.
std::vector<float> repeated(std::vector<float> values, size_t count) {
  std::vector<float> all;
  while (all.size() < count) all.insert(all.end(), values.begin(), values.end());
  return all;
}

TEST(Sqnr, is_the_ratio_of_powers) {
  EXPECT_NEAR(db({3, 4}, {3, 4.5f}), 20, 1e-9);
  EXPECT_EQ(db({3, 4}, {3, 4}), HUGE_VAL);
}

TEST(Sqnr, equal_infinities_lose_nothing_and_count_for_nothing) {
  for (size_t count : {3, 24, 30}) {
    EXPECT_NEAR(db(repeated({3, -kInf, 4}, count), repeated({3, -kInf, 4.5f}, count)), 20, 1e-6);
    EXPECT_EQ(db(repeated({3, kInf, -kInf}, count), repeated({3, kInf, -kInf}, count)), HUGE_VAL);
  }
}

TEST(Sqnr, an_infinity_beside_another_value_is_lost_for_good) {
  for (const auto& [x, y] : {std::pair{kInf, 1.0f}, {1.0f, -kInf}, {kInf, -kInf}}) {
    EXPECT_EQ(db({2, x}, {2, y}), -HUGE_VAL) << x << " " << y;
    EXPECT_EQ(db({x}, {y}), -HUGE_VAL) << x << " " << y;
  }
}

TEST(Sqnr, NaN_makes_NaN) {
  for (const auto& [x, y] :
       {std::pair{NAN, NAN}, {NAN, 1.0f}, {1.0f, NAN}, {kInf, NAN}, {NAN, kInf}}) {
    EXPECT_TRUE(std::isnan(db({2, x, kInf}, {2, y, kInf}))) << x << " " << y;
  }
  EXPECT_TRUE(std::isnan(db({NAN, kInf}, {NAN, 1})));
}

}  // namespace
}  // namespace dwindle
