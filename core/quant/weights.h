// Weights as integers: one scale for all of them, for each index of an axis, or for each block
// along an axis. Zero points are 0.
#pragma once

#include <cstdint>

#include "core/ir/tensor.h"

namespace dwindle {

// How the scale of a group of weights follows from their values.
enum class WeightRange {
  kMinMax,  // the largest magnitude fits
  kMse,     // least squared error of the group: clips where finer steps are worth more
};

struct WeightFormat {
  DType dtype = DType::kInt8;  // kInt8, kInt4 or kInt2
  WeightRange range = WeightRange::kMse;
  int axis = -1;  // has a scale an index, or blocks along it; -1: one scale in all
  int64_t block_size =
      0;  // elements of a block along `axis`, the last may have fewer; 0: no blocks
  // One bit less, so that 16-bit sums of two products with 8-bit activations cannot saturate.
  bool reduce_range = false;
};

struct QuantizedWeights {
  Tensor integers;  // of `dtype`, in the shape of the weights
  // float: rank 0; [extent of axis]; or the weights' shape with ceil(extent / block_size) at axis.
  // As DequantizeLinear has them.
  Tensor scales;
};

// The least and greatest integer of a format. 8 bits leave out −128, so that magnitudes mirror;
// fewer bits cannot afford that.
struct WeightLimits {
  int32_t min, max;
};
WeightLimits weight_limits(const WeightFormat& format);

// The scales of float `weights`, [groups] as QuantizedWeights has them. Groups of zeros get 1.
Tensor weight_scales(const Tensor& weights, const WeightFormat& format);

// The integers of float `weights` at given scales: saturate(round_half_even(w / scale)).
Tensor quantize_weights(const Tensor& weights, const Tensor& scales, const WeightFormat& format);

// scale · integer, in float; for the error of a quantization.
Tensor dequantize_weights(const Tensor& integers, const Tensor& scales, const WeightFormat& format);

}  // namespace dwindle
