// Weights as integers: one scale for all of them, for each index of an axis, or for each block
// along an axis. Zero points are 0.
#pragma once

#include <cstdint>
#include <vector>

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

// The shape of the scales of weights of `shape`, see QuantizedWeights.
Dims scale_shape(const Dims& shape, const WeightFormat& format);

// The least scale: products of two scales stay normal.
inline constexpr float kLeastWeightScale = 1e-18f;

// The scales that are tried, as shares of the one at which the largest magnitude fits.
std::vector<float> scale_shares(const WeightFormat& format);

// What rounding takes off weights: the sums of their squares and of the squares of their errors.
struct WeightLoss {
  double signal = 0, noise = 0;

  void add(const WeightLoss& other) {
    signal += other.signal;
    noise += other.noise;
  }
  // Signal-to-quantization-noise ratio; infinite where there is no noise.
  double sqnr_db() const;
};

// Scales and integers of float `weights`. Adds to `loss` unless it is null, the same sums for any
// number of threads and any CPU; its signal is NaN or infinite after weights that are not finite.
QuantizedWeights quantized_weights(const Tensor& weights, const WeightFormat& format,
                                   WeightLoss* loss = nullptr);

// The scales of float `weights`, [groups] as QuantizedWeights has them. Groups of zeros get
// 2^-20 of the greatest scale of the others, which biases beside them are rounded to products of;
// blocks of zeros, 1.
Tensor weight_scales(const Tensor& weights, const WeightFormat& format);

// The integers of float `weights` at given scales: saturate(round_half_even(w / scale)).
Tensor quantize_weights(const Tensor& weights, const Tensor& scales, const WeightFormat& format);

// scale · integer, in float; for the error of a quantization.
Tensor dequantize_weights(const Tensor& integers, const Tensor& scales, const WeightFormat& format);

}  // namespace dwindle
