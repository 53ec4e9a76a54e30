#include "core/quant/histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

#include "core/support/error.h"
#include "core/support/threads.h"

namespace dwindle {
namespace {

constexpr int64_t kGrain = 1 << 16;

// One pass, several lanes, so that the compiler keeps them in vector registers. A NaN fails both
// comparisons, so the sum of the differences from itself tells of it instead.
MinMax plain_min_max(const float* values, int64_t count, bool& finite) {
  constexpr int kLanes = 16;
  float low[kLanes], high[kLanes], odd[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) {
    low[lane] = std::numeric_limits<float>::infinity();
    high[lane] = -low[lane];
    odd[lane] = 0;
  }
  auto take = [&](int lane, float x) {
    low[lane] = x < low[lane] ? x : low[lane];
    high[lane] = x > high[lane] ? x : high[lane];
    odd[lane] += x - x;  // 0, or NaN for NaN and infinities
  };
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) take(lane, values[i + lane]);
  }
  for (; i < count; ++i) take(0, values[i]);
  for (int lane = 1; lane < kLanes; ++lane) {
    low[0] = std::min(low[0], low[lane]);
    high[0] = std::max(high[0], high[lane]);
    odd[0] += odd[lane];
  }
  finite = odd[0] == 0;
  return {low[0], high[0]};
}

[[noreturn]] void report_not_finite(std::span<const float> values) {
  const auto bad =
      std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
  throw BadData(std::string(std::isnan(*bad) ? "NaN" : "an infinity") + " at element " +
                std::to_string(bad - values.begin()));
}

}  // namespace

MinMax finite_min_max(std::span<const float> values) {
  MinMax all{std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()};
  bool all_finite = true;
  std::mutex mutex;
  parallel_for(static_cast<int64_t>(values.size()), kGrain, [&](int64_t begin, int64_t end) {
    bool finite = true;
    const MinMax part = plain_min_max(values.data() + begin, end - begin, finite);
    std::lock_guard lock(mutex);
    all = {std::min(all.min, part.min), std::max(all.max, part.max)};
    all_finite = all_finite && finite;
  });
  if (!all_finite) report_not_finite(values);
  return all;
}

double Histogram::bin_width() const { return std::ldexp(1.0, exponent_); }

void Histogram::widen_to(int exponent) {
  if (total_ == 0) exponent_ = std::max(exponent_, exponent);
  for (; exponent_ < exponent; ++exponent_) {
    // Outwards from zero on either side, in place: a bin is read before it is written.
    for (int i = 0; i < kZero; ++i) {
      const int from = 2 * i;
      const bool inside = from + 1 < kZero;
      counts_[kZero + i] = inside ? counts_[kZero + from] + counts_[kZero + from + 1] : 0;
      counts_[kZero - 1 - i] = inside ? counts_[kZero - 1 - from] + counts_[kZero - 2 - from] : 0;
    }
  }
}

void Histogram::add(std::span<const float> values) {
  if (values.empty()) return;
  const MinMax extremes = finite_min_max(values);
  min_ = std::min(min_, extremes.min);
  max_ = std::max(max_, extremes.max);
  // Half of the bins must reach the largest magnitude m: m < kZero · 2^e.
  const float magnitude = std::max(std::fabs(extremes.min), std::fabs(extremes.max));
  int needed = kLeastExponent;
  if (magnitude > 0) {
    std::frexp(magnitude, &needed);                  // m < 2^needed
    needed = std::max(needed - 12, kLeastExponent);  // kZero = 2^12
  }
  widen_to(needed);
  // A multiplication by a power of two is exact, so the bin of a value is too.
  const float inverse = static_cast<float>(std::ldexp(1.0, -exponent_));
  std::mutex mutex;
  parallel_for(static_cast<int64_t>(values.size()), kGrain, [&](int64_t begin, int64_t end) {
    std::vector<uint32_t> counts(kBins);
    for (int64_t i = begin; i < end; ++i) {
      // Truncation goes towards zero; floor is one less for negative fractions.
      const float x = values[static_cast<size_t>(i)] * inverse;
      int bin = static_cast<int>(x);
      bin = bin - (x < static_cast<float>(bin)) + kZero;
      ++counts[static_cast<size_t>(bin)];
    }
    std::lock_guard lock(mutex);
    for (int bin = 0; bin < kBins; ++bin)
      counts_[static_cast<size_t>(bin)] += counts[static_cast<size_t>(bin)];
  });
  total_ += values.size();
}

}  // namespace dwindle
