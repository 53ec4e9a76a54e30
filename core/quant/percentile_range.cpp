#include <algorithm>

#include "core/quant/range_search.h"

namespace dwindle {

Range percentile_range(const Histogram& histogram, double percentile) {
  const auto& counts = histogram.counts();
  const double outside = static_cast<double>(histogram.total()) * (100.0 - percentile) / 100.0;
  double below = 0;
  int low = 0;
  while (low < Histogram::kBins &&
         below + static_cast<double>(counts[static_cast<size_t>(low)]) <= outside) {
    below += static_cast<double>(counts[static_cast<size_t>(low++)]);
  }
  double above = 0;
  int high = Histogram::kBins - 1;
  while (high > low && above + static_cast<double>(counts[static_cast<size_t>(high)]) <= outside) {
    above += static_cast<double>(counts[static_cast<size_t>(high--)]);
  }
  const double low_edge = histogram.lower_edge(low), high_edge = histogram.lower_edge(high + 1);
  return {static_cast<float>(std::min(0.0, std::max<double>(histogram.min(), low_edge))),
          static_cast<float>(std::max(0.0, std::min<double>(histogram.max(), high_edge)))};
}

}  // namespace dwindle
