// The matrix of input patches that turns a convolution into a product, made block by block.
#pragma once

#include <cstdint>

#include "core/kernels/conv_f32/conv_f32.h"

namespace dwindle::kernels {

// Row (channel, tap) and column (output position), both row-major, hold the input value that the
// tap sees at that position, 0 outside the input. Both arguments must outlive it.
class Im2colF32 {
 public:
  // `x` is one group of one image, [channels, in_size].
  Im2colF32(const ConvF32& conv, const float* x) : conv_(conv), x_(x) {}

  // Writes rows [k0, k1) of columns [n0, n1) to `to`, rows `ld` floats apart.
  void fill(int64_t k0, int64_t k1, int64_t n0, int64_t n1, float* to, int64_t ld) const;

 private:
  const ConvF32& conv_;
  const float* x_;
};

}  // namespace dwindle::kernels
