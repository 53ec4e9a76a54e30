#include "core/quant/histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

#include "core/support/error.h"
#include "core/support/threads.h"

namespace dwindle {
namespace {

constexpr int64_t kGrain = 1 << 18;

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

// Counts in two tables, one behind the other: many values in a row fall into one bin (the zeros
// behind a Relu), and a count that waits for the one before it takes several times as long.
std::vector<uint32_t> count_bins(std::span<const float> values, float inverse) {
  constexpr int kBlock = 64;
  std::vector<uint32_t> counts(2 * Histogram::kBins);
  int bins[kBlock];
  for (size_t first = 0; first < values.size(); first += kBlock) {
    const int count = static_cast<int>(std::min<size_t>(kBlock, values.size() - first));
    for (int i = 0; i < count; ++i) {
      // Multiplying by a power of two is exact. Truncation goes towards zero; floor is one less for
      // negative fractions.
      const float x = values[first + static_cast<size_t>(i)] * inverse;
      const int towards_zero = static_cast<int>(x);
      bins[i] = towards_zero - (x < static_cast<float>(towards_zero) ? 1 : 0) + Histogram::kZero;
    }
    for (int i = 0; i < count; ++i) {
      ++counts[static_cast<size_t>(bins[i] + (i & 1) * Histogram::kBins)];
    }
  }
  return counts;
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
  const double inverse = std::ldexp(1.0, -exponent_);
  std::mutex mutex;
  parallel_for(static_cast<int64_t>(values.size()), kGrain, [&](int64_t begin, int64_t end) {
    const std::vector<uint32_t> counts =
        count_bins(values.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)),
                   static_cast<float>(inverse));
    std::lock_guard lock(mutex);
    for (size_t bin = 0; bin < kBins; ++bin) counts_[bin] += counts[bin] + counts[bin + kBins];
  });
  total_ += values.size();
}

}  // namespace dwindle
