// Least mean squared error. The error of a range is summed over the histogram's bins, each taken at
// its middle: rounding inside, saturation outside. As a function of one end it falls to a minimum
// and rises again but for ripples, so a scan finds it: the upper end first, then the lower, then
// the upper again. Values of one sign need one scan.
#include <algorithm>
#include <cmath>

#include "core/quant/params.h"
#include "core/quant/range_search.h"

namespace dwindle {
namespace {

struct Bins {
  std::vector<float> middle;
  std::vector<float> count;
};

// The bins that hold anything, neighbours merged until few enough are left for a quick search: the
// steps of 8 bits stay several bins wide.
Bins occupied_bins(const Histogram& histogram) {
  constexpr int kMerge = 2;
  Bins bins;
  for (int bin = 0; bin < Histogram::kBins; bin += kMerge) {
    double count = 0, moment = 0;
    for (int i = bin; i < bin + kMerge; ++i) {
      const auto n = static_cast<double>(histogram.counts()[static_cast<size_t>(i)]);
      count += n;
      moment += n * (histogram.lower_edge(i) + histogram.bin_width() / 2);
    }
    if (count == 0) continue;
    bins.middle.push_back(static_cast<float>(moment / count));
    bins.count.push_back(static_cast<float>(count));
  }
  return bins;
}

double squared_error(const Bins& bins, Range range, DType dtype, bool symmetric) {
  const QuantParams params = choose_params(range.low, range.high, dtype, symmetric);
  const IntegerRange integers = integer_range(dtype, symmetric);
  const float inverse = 1.0f / params.scale;
  const auto low = static_cast<float>(integers.min - params.zero_point);
  const auto high = static_cast<float>(integers.max - params.zero_point);
  // Adding and subtracting 1.5·2^23 rounds to even, in vector registers too.
  constexpr float kRound = 12582912.0f;
  constexpr int kLanes = 8;
  float sums[kLanes] = {};
  const size_t count = bins.middle.size();
  auto term = [&](size_t i) {
    const float x = bins.middle[i];
    float q = std::min(std::max(x * inverse, low), high);
    q = (q + kRound) - kRound;
    const float error = q * params.scale - x;
    return bins.count[i] * error * error;
  };
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += term(i + lane);
  }
  for (; i < count; ++i) sums[0] += term(i);
  double total = 0;
  for (float sum : sums) total += sum;
  return total;
}

}  // namespace

Range mse_range(const Histogram& histogram, DType dtype, bool symmetric) {
  const Bins bins = occupied_bins(histogram);
  Range best{std::min(histogram.min(), 0.0f), std::max(histogram.max(), 0.0f)};
  double least = squared_error(bins, best, dtype, symmetric);
  const Range full = best;
  auto scan = [&](bool move_low, bool move_high) {
    constexpr int kSteps = 80;
    const Range from = best;
    for (int step = 1; step < kSteps; ++step) {
      const float share = 1.0f - 0.8f * static_cast<float>(step) / kSteps;
      Range candidate = from;
      if (move_low) candidate.low = full.low * share;
      if (move_high) candidate.high = full.high * share;
      const double error = squared_error(bins, candidate, dtype, symmetric);
      if (error < least) {
        least = error;
        best = candidate;
      }
    }
  };
  if (full.low == full.high) return full;
  if (symmetric) {
    scan(true, true);
  } else if (full.low == 0 || full.high == 0) {
    scan(full.low<0, full.high> 0);
  } else {
    scan(false, true);
    scan(true, false);
    scan(false, true);
  }
  return best;
}

}  // namespace dwindle
