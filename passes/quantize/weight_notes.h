// What became of the weights where that is not just what the options say.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "passes/quantize/parameters.h"

namespace dwindle::passes {

class WeightNotes {
 public:
  explicit WeightNotes(const WeightOptions& options) : options_(options) {}

  // `shape` and `format` of the weights at `site`.
  void add(const WeightSite& site, const Dims& shape, const WeightFormat& format);

  // One line each: weights of more bits than asked for, blocks that do not divide their axis or
  // that are larger than it, and weights without blocks.
  std::vector<std::string> lines() const;

 private:
  WeightOptions options_;
  int64_t layers_ = 0;
  std::vector<std::string> wider_, in_fours_, sliced_, ragged_, larger_,
      unblocked_;  // names of nodes
};

}  // namespace dwindle::passes
