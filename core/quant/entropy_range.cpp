// Least Kullback-Leibler divergence. Magnitudes are counted in `kMagnitudes` bins. For each
// threshold, P is the distribution below it with all that lies beyond put into its last bin, and Q
// is what is left of P after quantizing to `levels` steps: the mass of each step spread evenly over
// those of its bins that P occupies. The threshold with the least divergence of Q from P wins.
#include <algorithm>
#include <cmath>

#include "core/quant/params.h"
#include "core/quant/range_search.h"

namespace dwindle {
namespace {

constexpr int kMagnitudes = Histogram::kZero;

std::vector<double> magnitude_counts(const Histogram& histogram) {
  std::vector<double> counts(kMagnitudes);
  for (int i = 0; i < kMagnitudes; ++i) {
    counts[static_cast<size_t>(i)] =
        static_cast<double>(histogram.counts()[static_cast<size_t>(Histogram::kZero + i)]) +
        static_cast<double>(histogram.counts()[static_cast<size_t>(Histogram::kZero - 1 - i)]);
  }
  // The zeros behind a Relu would look as if a coarse step smeared them over all of its bins, but
  // zero is always exact: that bin counts as much as its neighbour.
  counts[0] = std::min(counts[0], counts[1]);
  return counts;
}

double times_log(double x) { return x > 0 ? x * std::log(x) : 0; }

// The counts and what the divergences of all thresholds are made of: sums over the bins before
// each.
class Sums {
 public:
  explicit Sums(const std::vector<double>& counts) : counts_(counts) {
    for (double count : counts) {
      mass_.push_back(mass_.back() + count);
      occupied_.push_back(occupied_.back() + (count > 0));
      entropy_.push_back(entropy_.back() + times_log(count));
    }
  }

  // Divergence for the threshold at the upper edge of bin `bins` − 1, with `beyond` above it: the
  // sum over p · log p, where the counts alone matter, less that over p · log q, where a whole
  // level has one q.
  double divergence(int bins, int levels, double beyond) const {
    const double inside = mass_[at(bins)], total = inside + beyond;
    if (inside == 0) return HUGE_VAL;
    const double last = counts_[at(bins - 1)];
    double sum = (entropy_[at(bins - 1)] + times_log(last + beyond)) / total - std::log(total);
    for (int level = 0; level < levels; ++level) {
      const size_t begin = at(static_cast<int64_t>(level) * bins / levels);
      const size_t end = at(static_cast<int64_t>(level + 1) * bins / levels);
      const bool holds_beyond = level == levels - 1 && beyond > 0;
      const double mass = mass_[end] - mass_[begin];
      const int occupied = occupied_[end] - occupied_[begin] + (holds_beyond && last == 0);
      if (occupied == 0) continue;
      // A last bin that holds only what lies beyond has nothing in Q: a tiny mass keeps the
      // logarithm.
      const double q = std::max(mass / occupied, 1e-9) / inside;
      sum -= (mass + (holds_beyond ? beyond : 0)) / total * std::log(q);
    }
    return sum;
  }

 private:
  static size_t at(int64_t bin) { return static_cast<size_t>(bin); }

  const std::vector<double>& counts_;
  std::vector<double> mass_ = {0}, entropy_ = {0};
  std::vector<int> occupied_ = {0};
};

}  // namespace

Range entropy_range(const Histogram& histogram, DType dtype) {
  const Range full{std::min(histogram.min(), 0.0f), std::max(histogram.max(), 0.0f)};
  const std::vector<double> counts = magnitude_counts(histogram);
  // One sign has all levels of the dtype for it, two signs share them.
  const IntegerRange integers = integer_range(dtype);
  const int all = integers.max - integers.min + 1;
  const int levels = std::min(full.low < 0 && full.high > 0 ? all / 2 : all, kMagnitudes / 4);
  int used = kMagnitudes;
  while (used > 0 && counts[static_cast<size_t>(used - 1)] == 0) --used;
  // Fewer than two bins a level say nothing of the loss within a level.
  const int first = std::min(used, 2 * levels);
  double beyond = 0;
  for (int i = first; i < used; ++i) beyond += counts[static_cast<size_t>(i)];
  const Sums sums(counts);
  double least = HUGE_VAL;
  int best = used;
  constexpr int kCandidates = 128;
  const int stride = std::max(1, (used - first) / kCandidates);
  for (int bins = first; bins <= used; bins += stride) {
    const double value = sums.divergence(bins, levels, beyond);
    if (value < least) {
      least = value;
      best = bins;
    }
    for (int i = bins; i < std::min(bins + stride, used); ++i)
      beyond -= counts[static_cast<size_t>(i)];
  }
  const double threshold = best * histogram.bin_width();
  return {static_cast<float>(std::max<double>(full.low, -threshold)),
          static_cast<float>(std::min<double>(full.high, threshold))};
}

}  // namespace dwindle
