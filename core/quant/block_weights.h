// Weights in blocks: the part of quantized_weights() that large models depend on.
#pragma once

#include <cstdint>

#include "core/quant/weights.h"

namespace dwindle {

// Chooses the scale of each block of float `weights`, and their integers, in one pass over the
// data. `scales`: one a block, as QuantizedWeights has them; `integers`: one byte an element, or
// null where they are not wanted. Adds to `loss`, unless null, in the order of the scales.
void quantize_blocks(const Tensor& weights, const WeightFormat& format, float* scales,
                     int8_t* integers, WeightLoss* loss);

}  // namespace dwindle
