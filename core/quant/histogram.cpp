#include "core/quant/histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <optional>

#include "core/kernels/count_bins_f32/count_bins_f32.h"
#include "core/kernels/min_max_f32/min_max_f32.h"
#include "core/support/error.h"
#include "core/support/threads.h"

namespace dwindle {
namespace {

constexpr int64_t kMinMaxGrain = 1 << 16;
// A part has counts of its own, which cost as much as some ten thousand values.
constexpr int64_t kCountGrain = 1 << 15;
// Values that are looked at for their extremes and then counted while they are in the cache.
constexpr int64_t kChunk = 1 << 12;
constexpr int kLeastExponent = -126;

[[noreturn]] void report_not_finite(std::span<const float> values) {
  const auto bad =
      std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
  throw BadData(std::string(std::isnan(*bad) ? "NaN" : "an infinity") + " at element " +
                std::to_string(bad - values.begin()));
}

// The least exponent of a bin's width with which half of the bins reach the magnitude m:
// m < kZero · 2^e.
int needed_exponent(float least, float most) {
  const float magnitude = std::max(std::fabs(least), std::fabs(most));
  if (magnitude == 0) return kLeastExponent;
  int exponent = 0;
  std::frexp(magnitude, &exponent);                // m < 2^exponent
  return std::max(exponent - 12, kLeastExponent);  // kZero = 2^12
}

float inverse_width(int exponent) { return static_cast<float>(std::ldexp(1.0, -exponent)); }

// Where the values of a bin fall when 2^steps neighbours become one, outwards from zero.
int widened(int bin, int steps) {
  return ((bin - Histogram::kZero) >> std::min(steps, 30)) + Histogram::kZero;
}

}  // namespace

MinMax finite_min_max(std::span<const float> values) {
  MinMax all{std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()};
  bool all_finite = true;
  std::mutex mutex;
  parallel_for(static_cast<int64_t>(values.size()), kMinMaxGrain, [&](int64_t begin, int64_t end) {
    const kernels::MinMaxF32 part = kernels::min_max_f32(values.data() + begin, end - begin);
    std::lock_guard lock(mutex);
    all = {std::min(all.min, part.min), std::max(all.max, part.max)};
    all_finite = all_finite && part.finite;
  });
  if (!all_finite) report_not_finite(values);
  return all;
}

// Counts of some of the values of one call, each part of them with its own width of the bins.
struct Histogram::Part {
  explicit Part(int exponent) : exponent(exponent), inverse(inverse_width(exponent)) {}

  // False where a value is not finite.
  bool add(const float* values, int64_t count) {
    for (int64_t at = 0; at < count; at += kChunk) {
      const int64_t size = std::min(kChunk, count - at);
      const kernels::MinMaxF32 extremes = kernels::min_max_f32(values + at, size);
      if (!extremes.finite) return false;
      min = std::min(min, extremes.min);
      max = std::max(max, extremes.max);
      widen_to(needed_exponent(extremes.min, extremes.max));
      kernels::count_bins_f32({.values = values + at,
                               .count = size,
                               .inverse = inverse,
                               .zero = kZero,
                               .bins = kBins,
                               .often = bin(extremes.max),
                               .counts = counts.data()});
      any = true;
    }
    return true;
  }

  int bin(float value) const { return static_cast<int>(std::floor(value * inverse)) + kZero; }

  void widen_to(int needed) {
    if (needed <= exponent) return;
    if (any) {
      std::vector<uint32_t> wide(counts.size());
      for (int i = 0; i < kBins; ++i) {
        const auto at = static_cast<size_t>(i);
        wide[static_cast<size_t>(widened(i, needed - exponent))] += counts[at] + counts[at + kBins];
      }
      counts = std::move(wide);
    }
    exponent = needed;
    inverse = inverse_width(needed);
  }

  int exponent;
  float inverse;
  bool any = false;
  float min = std::numeric_limits<float>::infinity();
  float max = -std::numeric_limits<float>::infinity();
  std::vector<uint32_t> counts = std::vector<uint32_t>(2 * kBins);
};

double Histogram::bin_width() const { return std::ldexp(1.0, exponent_); }

// The bins of `part` are no wider.
void Histogram::take_in(const Part& part) {
  const int steps = exponent_ - part.exponent;
  const auto first = static_cast<size_t>(part.bin(part.min));
  const auto last = static_cast<size_t>(part.bin(part.max));
  if (steps == 0) {
    for (size_t at = first; at <= last; ++at) {
      counts_[at] += part.counts[at] + part.counts[at + kBins];
    }
    return;
  }
  for (int bin = part.bin(part.min); bin <= part.bin(part.max); ++bin) {
    const auto at = static_cast<size_t>(bin);
    counts_[static_cast<size_t>(widened(bin, steps))] +=
        uint64_t{part.counts[at]} + part.counts[at + kBins];
  }
}

void Histogram::add(std::span<const float> values) {
  if (values.empty()) return;
  // Nothing is taken in before all parts are known to be finite.
  std::vector<Part> parts;
  bool finite = true;
  std::mutex mutex;
  parallel_for(static_cast<int64_t>(values.size()), kCountGrain, [&](int64_t begin, int64_t end) {
    // As many parts as threads: whoever comes next goes on with one that is free.
    std::optional<Part> part;
    {
      std::lock_guard lock(mutex);
      if (!parts.empty()) {
        part = std::move(parts.back());
        parts.pop_back();
      }
    }
    if (!part) part.emplace(exponent_);
    const bool sound = part->add(values.data() + begin, end - begin);
    std::lock_guard lock(mutex);
    finite = finite && sound;
    parts.push_back(std::move(*part));
  });
  if (!finite) report_not_finite(values);
  int exponent = exponent_;
  for (const Part& part : parts) {
    exponent = std::max(exponent, part.exponent);
    min_ = std::min(min_, part.min);
    max_ = std::max(max_, part.max);
  }
  if (exponent > exponent_) {
    std::vector<uint64_t> wide(kBins);
    for (int bin = 0; bin < kBins; ++bin) {
      wide[static_cast<size_t>(widened(bin, exponent - exponent_))] +=
          counts_[static_cast<size_t>(bin)];
    }
    counts_ = std::move(wide);
    exponent_ = exponent;
  }
  for (const Part& part : parts) take_in(part);
  total_ += values.size();
}

}  // namespace dwindle
