// Depthwise convolution, NCHW, float32: every output channel is made from one input channel.
//
//   sum = bias + sum over (ky, kx) of w[ky, kx] * x[oy * stride_h + ky * dilation_h - pad_top,
//                                                   ox * stride_w + kx * dilation_w - pad_left]
//   y[oy, ox] = f(clamp(sum * scale + shift))
//
// where x counts as 0 outside the plane and f is an activation function, if any. Every element
// starts from the bias and takes one fused multiply-add per tap, ky outermost, also for the taps
// that fall outside: all variants and all thread counts give the same bits. The clamp is max(lo,
// v), then min(hi, v), and lets a NaN through.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "core/kernels/cpu.h"
#include "core/kernels/unary_f32/unary_f32.h"

namespace dwindle::kernels {

struct DepthwiseF32Geometry {
  int64_t in_h = 1, in_w = 1;
  int64_t out_h = 1, out_w = 1;
  int64_t kernel_h = 1, kernel_w = 1;
  int64_t stride_h = 1, stride_w = 1;
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0;  // bottom and right padding follow from the output size
};

// One plane. The vector variants copy it, strip by strip, into `scratch` in a form where every tap
// is a contiguous load: zero-padded rows, columns split by their phase modulo stride_w. Column
// `ox * stride_w + d` of the padded row lies at `(d % stride_w) * phase_width + d / stride_w + ox`.
struct DepthwiseF32Params {
  DepthwiseF32Geometry geometry;
  const float* x;  // [in_h, in_w]
  const float* w;  // [kernel_h, kernel_w]
  float bias;
  bool scales;  // whether `scale` and `shift` count
  float scale, shift;
  float min, max;             // -inf and inf where nothing is to be clamped
  float* y;                   // [out_h, out_w]
  float* scratch;             // room for one strip, aligned to 64 bytes
  const int64_t* tap_offset;  // [kernel_h * kernel_w]: where a tap of output (0, 0) lies in scratch
  int64_t phase_width;        // multiple of 16
  int64_t strip_rows;         // output rows made from one filling of the scratch
};

using DepthwiseF32Fn = void (*)(const DepthwiseF32Params&) noexcept;

// Best first.
std::span<const Variant<DepthwiseF32Fn>> depthwise_f32_variants();

struct DepthwiseF32 {
  int64_t batch = 1;
  int64_t channels = 1;
  int64_t multiplier = 1;  // output channels made from one input channel
  DepthwiseF32Geometry geometry;
  const float* x = nullptr;     // [batch, channels, in_h, in_w]
  const float* w = nullptr;     // [channels * multiplier, kernel_h, kernel_w]
  const float* bias = nullptr;  // [channels * multiplier] or null
  // [channels * multiplier] both, or null both: what is done to the sums before the clamp.
  const float* scale = nullptr;
  const float* shift = nullptr;
  float* y = nullptr;  // [batch, channels * multiplier, out_h, out_w]; overlaps nothing
  float min = -std::numeric_limits<float>::infinity();
  float max = std::numeric_limits<float>::infinity();
  const UnaryF32* activation = nullptr;  // applied in the end; its x, y and count do not count
};

// Raises BadOption where a size, stride or dilation is out of range. `kernel` replaces the variant
// that this CPU and DWINDLE_ISA pick; tests and benchmarks use it.
void depthwise_f32(const DepthwiseF32& args, DepthwiseF32Fn kernel = nullptr);

}  // namespace dwindle::kernels
