// From the histogram of a value to the range that its quantized form should represent.
#pragma once

#include "core/ir/dtype.h"
#include "core/quant/histogram.h"
#include "core/quant/observer.h"

namespace dwindle {

// All of these widen the range to hold 0, and never pass the least and greatest value seen.

// The smallest range that leaves out at most (100 − percentile) % of the values on either side.
Range percentile_range(const Histogram& histogram, double percentile);

// The range with the least Kullback-Leibler divergence of the quantized from the float
// distribution, one threshold for the magnitude of both signs. Source: S. Migacz, "8-bit Inference
// with TensorRT", GTC 2017.
Range entropy_range(const Histogram& histogram, DType dtype);

// The range with the least mean squared error of quantizing to `dtype`, rounding and saturation
// together; both ends are searched unless `symmetric`.
Range mse_range(const Histogram& histogram, DType dtype, bool symmetric);

}  // namespace dwindle
