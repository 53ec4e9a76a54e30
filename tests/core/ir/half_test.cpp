#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>

#include "core/ir/dtype.h"

namespace dwindle {
namespace {

double value_of(uint16_t bits) {
  const int exponent = bits >> 10 & 0x1f;
  const int mantissa = bits & 0x3ff;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == 0x1f) return mantissa == 0 ? sign * INFINITY : NAN;
  return sign * std::ldexp(exponent == 0 ? mantissa : mantissa + 1024, std::max(exponent, 1) - 25);
}

TEST(Half, every_half_is_the_float_of_its_value) {
  for (uint32_t i = 0; i < 1u << 16; ++i) {
    const Float16 half{static_cast<uint16_t>(i)};
    const double wanted = value_of(half.bits);
    if (std::isnan(wanted)) {
      EXPECT_TRUE(std::isnan(to_float(half)));
      EXPECT_TRUE(std::isnan(value_of(to_float16(to_float(half)).bits)));
      continue;
    }
    EXPECT_EQ(static_cast<double>(to_float(half)), wanted) << i;
    EXPECT_EQ(to_float16(to_float(half)).bits, half.bits) << i;
  }
}

// The nearest of all halves, the even one where two are as near; beyond the largest, as if there
// were one more step.
uint16_t nearest_half(float x) {
  const double magnitude = std::abs(static_cast<double>(x));
  uint32_t best = 0;
  for (uint32_t step = 1u << 14; step > 0; step /= 2) {
    const uint32_t next = best + step;
    if (next < 0x7c00 && value_of(static_cast<uint16_t>(next)) <= magnitude) best = next;
  }
  const double low = value_of(static_cast<uint16_t>(best));
  const double high = best + 1 == 0x7c00 ? 65536 : value_of(static_cast<uint16_t>(best + 1));
  const double middle = (low + high) / 2;
  if (magnitude > middle || (magnitude == middle && best % 2 == 1)) ++best;
  return static_cast<uint16_t>(best | (std::signbit(x) ? 0x8000u : 0u));
}

TEST(Half, floats_round_to_the_nearest_half) {
  std::mt19937 random(5);
  for (int i = 0; i < 200'000; ++i) {
    // Of all exponents that matter, many of them on ties.
    uint32_t bits = static_cast<uint32_t>(random()) & 0x80ffffffu;
    bits |= (95 + static_cast<uint32_t>(random()) % 50) << 23;
    if (i % 3 == 0) bits &= ~0xfffu;
    const float x = std::bit_cast<float>(bits);
    ASSERT_EQ(to_float16(x).bits, nearest_half(x)) << x;
  }
  EXPECT_EQ(to_float16(INFINITY).bits, 0x7c00);
  EXPECT_EQ(to_float16(65519.9f).bits, 0x7bff);
  EXPECT_EQ(to_float16(65520.0f).bits, 0x7c00);
}

TEST(Half, bfloat16_keeps_the_upper_half_rounded) {
  for (uint32_t i = 0; i < 1u << 16; ++i) {
    const Bfloat16 half{static_cast<uint16_t>(i)};
    const float x = to_float(half);
    EXPECT_EQ(std::bit_cast<uint32_t>(x), i << 16);
    if (std::isnan(x)) {
      EXPECT_TRUE(std::isnan(to_float(to_bfloat16(x))));
      continue;
    }
    EXPECT_EQ(to_bfloat16(x).bits, half.bits);
    if (std::isinf(x)) continue;
    const float up = std::bit_cast<float>((i << 16) + 0x8000u);  // a tie
    EXPECT_EQ(to_bfloat16(up).bits, i + i % 2);
    EXPECT_EQ(to_bfloat16(std::bit_cast<float>((i << 16) + 0x8001u)).bits, i + 1);
  }
}

}  // namespace
}  // namespace dwindle
