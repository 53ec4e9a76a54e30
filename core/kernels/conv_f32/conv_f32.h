// Convolution of 1 to 3 spatial dimensions, N C [D] [H] W, float32, with groups, strides, dilations
// and any padding; bias and clamp fused.
//
//   sum = bias[o] + sum over (c, tap) of
//                   w[o, c, tap] * x[n, c, out * stride + tap * dilation - pad]
//
//   y[n, o, out] = f(clamp(sum * scale[o] + shift[o]))
//
// over the input channels c of o's group, where x counts as 0 outside and f is an activation
// function, if any. Built on depthwise_f32 and on gemm_f32: to that a 1x1 convolution gives the
// input as it is, one of few filters the padded input where it lies, and any other shows it through
// an implicit im2col. Every element starts from the bias and takes one fused multiply-add per (c,
// tap) in row-major order of w, so the result does not depend on the path, the instruction set or
// the number of threads.
#pragma once

#include <array>
#include <cstdint>
#include <limits>

#include "core/kernels/unary_f32/unary_f32.h"

namespace dwindle::kernels {

struct ConvF32 {
  int64_t batch = 1;
  int64_t groups = 1;
  int64_t in_channels = 1;   // multiple of groups
  int64_t out_channels = 1;  // multiple of groups
  // Depth, height, width. A 2-D convolution leaves the first at its default, a 1-D the first two.
  std::array<int64_t, 3> in_size = {1, 1, 1};
  std::array<int64_t, 3> out_size = {1, 1, 1};
  std::array<int64_t, 3> kernel = {1, 1, 1};
  std::array<int64_t, 3> stride = {1, 1, 1};
  std::array<int64_t, 3> dilation = {1, 1, 1};
  std::array<int64_t, 3> pad_begin = {0, 0, 0};  // the padding at the end follows from out_size
  const float* x = nullptr;                      // [batch, in_channels, in_size]
  const float* w = nullptr;                      // [out_channels, in_channels / groups, kernel]
  const float* bias = nullptr;                   // [out_channels] or null
  const float* scale = nullptr;                  // [out_channels], with shift, or both null
  const float* shift = nullptr;
  float* y = nullptr;  // [batch, out_channels, out_size]; overlaps nothing
  float min = -std::numeric_limits<float>::infinity();
  float max = std::numeric_limits<float>::infinity();
  const UnaryF32* activation = nullptr;  // applied in the end; its x, y and count do not count
};

// Raises BadOption where a size, stride, dilation or group count is out of range.
void conv_f32(const ConvF32& args);

}  // namespace dwindle::kernels
