// How many float32 values fall into each bin of a histogram:
//
//   bin(x) = floor(x * inverse) + zero        ++counts[bin(x)]
#pragma once

#include <cstdint>
#include <span>

#include "core/kernels/cpu.h"

namespace dwindle::kernels {

struct CountBinsF32 {
  const float* values;  // finite, and each of them in one of the bins
  int64_t count;        // below 2^32
  float inverse;        // of the width of a bin, a power of two: the product is exact
  int32_t zero;         // the bin whose lower edge is 0
  int32_t bins;
  // Many values may be expected here (the zeros behind a Relu, the bound of a Clip); any bin will
  // do.
  int32_t often;
  // [2, bins]: added to. A count is the sum of both tables: many values in a row fall into one bin,
  // and an addition that waits for the one before it takes several times as long.
  uint32_t* counts;
};

using CountBinsF32Fn = void (*)(const CountBinsF32&) noexcept;

// Best first.
std::span<const Variant<CountBinsF32Fn>> count_bins_f32_variants();

// The variant that this CPU and DWINDLE_ISA pick. One thread.
void count_bins_f32(const CountBinsF32& args);

}  // namespace dwindle::kernels
