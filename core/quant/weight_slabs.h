// Large weights in parts that can be quantized one after the other.
#pragma once

#include <cstdint>
#include <vector>

#include "core/quant/weights.h"

namespace dwindle {

// Consecutive elements of weights that hold whole groups: quantized alone, under `shape`, `format`
// and the scales follow those of the part before, and packed integers start at a whole byte.
struct WeightSlab {
  int64_t first, size;  // elements
  Dims shape;           // [outer, extent, inner] about the axis of the format
  WeightFormat format;  // its axis is 1, or -1
};

// The parts of weights of `shape`, first to last: of about `most` elements, or of one group where
// those are larger. Formats whose groups are spread over all elements (one scale in all, or one for
// each index of an axis that is not the first) have one part.
std::vector<WeightSlab> weight_slabs(const Dims& shape, const WeightFormat& format, int64_t most);

}  // namespace dwindle
