// Checks of what a feed holds.
#pragma once

#include "core/data/dataset.h"

namespace dwindle {

// Raises BadData that names input, sample and position where a floating-point input holds a NaN or
// an infinity. Samples are counted in the feed's source, which is named; where it has none, from
// `first_sample`, the number of samples in the feeds before this one.
void check_finite(const Feed& feed, int64_t first_sample);

}  // namespace dwindle
