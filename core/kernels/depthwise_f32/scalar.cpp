// The definition that every other variant repeats bit for bit.
#include <cmath>

#include "core/kernels/depthwise_f32/depthwise_f32.h"

namespace dwindle::kernels {

void depthwise_f32_scalar(const DepthwiseF32Params& p) noexcept {
  const DepthwiseF32Geometry& g = p.geometry;
  for (int64_t oy = 0; oy < g.out_h; ++oy) {
    for (int64_t ox = 0; ox < g.out_w; ++ox) {
      float sum = p.bias;
      for (int64_t ky = 0; ky < g.kernel_h; ++ky) {
        for (int64_t kx = 0; kx < g.kernel_w; ++kx) {
          const int64_t iy = oy * g.stride_h + ky * g.dilation_h - g.pad_top;
          const int64_t ix = ox * g.stride_w + kx * g.dilation_w - g.pad_left;
          const bool inside = iy >= 0 && iy < g.in_h && ix >= 0 && ix < g.in_w;
          sum = std::fma(p.w[ky * g.kernel_w + kx], inside ? p.x[iy * g.in_w + ix] : 0.0f, sum);
        }
      }
      if (p.scales) sum = sum * p.scale + p.shift;
      sum = p.min > sum ? p.min : sum;
      p.y[oy * g.out_w + ox] = p.max < sum ? p.max : sum;
    }
  }
}

}  // namespace dwindle::kernels
