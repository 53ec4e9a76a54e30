// Histogram: how often values fall where, in memory that does not grow with their number.
//
// Bins are 2^e wide, with an edge at 0, and e grows as larger values arrive: two neighbouring bins
// then become one, exactly. So the counts depend on the values alone, never on their order, on the
// split into batches, or on the number of threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace dwindle {

class Histogram {
 public:
  static constexpr int kBins = 8192;
  static constexpr int kZero = kBins / 2;  // the bin whose lower edge is 0

  // Raises BadData where a value is NaN or infinite, with its position.
  void add(std::span<const float> values);

  float min() const { return min_; }  // of all values; +infinity before the first
  float max() const { return max_; }
  uint64_t total() const { return total_; }
  double bin_width() const;
  double lower_edge(int bin) const { return (bin - kZero) * bin_width(); }
  const std::vector<uint64_t>& counts() const { return counts_; }

 private:
  struct Part;
  void take_in(const Part& part);

  std::vector<uint64_t> counts_ = std::vector<uint64_t>(kBins);
  int exponent_ = -126;
  float min_ = __builtin_inff();
  float max_ = -__builtin_inff();
  uint64_t total_ = 0;
};

// Least and greatest of `values`. Raises BadData where one is NaN or infinite, with its position.
struct MinMax {
  float min, max;
};
MinMax finite_min_max(std::span<const float> values);

}  // namespace dwindle
