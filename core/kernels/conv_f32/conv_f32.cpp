// Chooses the way to compute a convolution; the arithmetic is in gemm_f32 and depthwise_f32.
#include "core/kernels/conv_f32/conv_f32.h"

#include <optional>

#include "core/kernels/conv_f32/direct.h"
#include "core/kernels/conv_f32/im2col.h"
#include "core/kernels/depthwise_f32/depthwise_f32.h"
#include "core/kernels/gemm_f32/gemm_f32.h"
#include "core/support/error.h"
#include "core/support/threads.h"

namespace dwindle::kernels {
namespace {

// With more filters than this on one channel, gemm_f32 uses each loaded input more often.
constexpr int64_t kMaxDepthwiseMultiplier = 4;

int64_t product(const std::array<int64_t, 3>& sizes) { return sizes[0] * sizes[1] * sizes[2]; }

void check(const ConvF32& c) {
  if (c.groups < 1 || c.in_channels < 0 || c.out_channels < 0 || c.batch < 0 ||
      c.in_channels % c.groups != 0 || c.out_channels % c.groups != 0) {
    throw BadOption("conv_f32: channels must be non-negative multiples of the group count");
  }
  if ((c.scale == nullptr) != (c.shift == nullptr)) {
    throw BadOption("conv_f32: a scale and a shift come together");
  }
  for (int d = 0; d < 3; ++d) {
    if (c.kernel[d] < 1 || c.stride[d] < 1 || c.dilation[d] < 1 || c.in_size[d] < 0 ||
        c.out_size[d] < 0) {
      throw BadOption("conv_f32: a size, stride or dilation is out of range");
    }
  }
}

// A sequence given as [length, 1] is one given as [1, length], whose rows are long enough for
// vectors.
ConvF32 without_trailing_ones(ConvF32 c) {
  for (int round = 0; round < 2; ++round) {
    if (c.in_size[2] != 1 || c.out_size[2] != 1 || c.kernel[2] != 1 || c.pad_begin[2] != 0) break;
    for (auto* sizes : {&c.in_size, &c.out_size, &c.kernel, &c.stride, &c.dilation}) {
      *sizes = {1, (*sizes)[0], (*sizes)[1]};
    }
    c.pad_begin = {0, c.pad_begin[0], c.pad_begin[1]};
  }
  return c;
}

bool is_depthwise(const ConvF32& c) {
  return c.in_channels == c.groups && c.out_channels <= c.groups * kMaxDepthwiseMultiplier &&
         c.kernel[0] == 1 && c.in_size[0] == 1 && c.out_size[0] == 1 && c.pad_begin[0] == 0;
}

// Whether the matrix of input patches is the input itself.
bool is_pointwise(const ConvF32& c) {
  constexpr std::array<int64_t, 3> kOnes = {1, 1, 1};
  constexpr std::array<int64_t, 3> kZeros = {0, 0, 0};
  return c.kernel == kOnes && c.stride == kOnes && c.pad_begin == kZeros && c.in_size == c.out_size;
}

void as_depthwise(const ConvF32& c) {
  DepthwiseF32 d;
  d.batch = c.batch;
  d.channels = c.in_channels;
  d.multiplier = c.out_channels / c.groups;
  d.geometry = {.in_h = c.in_size[1],
                .in_w = c.in_size[2],
                .out_h = c.out_size[1],
                .out_w = c.out_size[2],
                .kernel_h = c.kernel[1],
                .kernel_w = c.kernel[2],
                .stride_h = c.stride[1],
                .stride_w = c.stride[2],
                .dilation_h = c.dilation[1],
                .dilation_w = c.dilation[2],
                .pad_top = c.pad_begin[1],
                .pad_left = c.pad_begin[2]};
  d.x = c.x;
  d.w = c.w;
  d.bias = c.bias;
  d.scale = c.scale;
  d.shift = c.shift;
  d.y = c.y;
  d.min = c.min;
  d.max = c.max;
  d.activation = c.activation;
  depthwise_f32(d);
}

// The group `group` of image `image`: [out channels, c * taps] times [c * taps, positions]. Without
// a layout the second is the input as it is.
void as_product(const ConvF32& c, const PaddedLayoutF32* layout, int64_t image, int64_t group) {
  const int64_t group_in = c.in_channels / c.groups;
  const int64_t group_out = c.out_channels / c.groups;
  const int64_t positions = product(c.out_size);
  const float* x = c.x + (image * c.in_channels + group * group_in) * product(c.in_size);
  GemmF32 g;
  g.m = group_out;
  g.n = positions;
  g.k = group_in * product(c.kernel);
  g.a = c.w + group * group_out * g.k;
  g.a_row_stride = g.k;
  g.c = c.y + (image * c.out_channels + group * group_out) * positions;
  g.ldc = positions;
  g.row_bias = c.bias != nullptr ? c.bias + group * group_out : nullptr;
  if (c.scale != nullptr && c.shift != nullptr) {
    g.row_scale = c.scale + group * group_out;
    g.row_shift = c.shift + group * group_out;
  }
  g.min = c.min;
  g.max = c.max;
  g.activation = c.activation;
  if (layout == nullptr) {
    g.b = x;
    g.b_k_stride = positions;
    gemm_f32(g);
    return;
  }
  const PaddedInputF32 input(*layout, x);
  if (direct_pays_f32(*layout)) {
    direct_conv_f32(input, image, group);
    return;
  }
  const FillPanelF32 fill = [&](int64_t k0, int64_t k1, int64_t n0, int64_t n1, float* to,
                                int64_t ld) { fill_patches_f32(input, k0, k1, n0, n1, to, ld); };
  g.fill_b = &fill;
  gemm_f32(g);
}

}  // namespace

void conv_f32(const ConvF32& args) {
  check(args);
  if (args.batch == 0 || args.out_channels == 0 || product(args.out_size) == 0) return;
  const ConvF32 c = without_trailing_ones(args);
  if (is_depthwise(c)) {
    as_depthwise(c);
    return;
  }
  std::optional<PaddedLayoutF32> layout;
  if (!is_pointwise(c)) layout.emplace(c);
  parallel_for(c.batch * c.groups, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      as_product(c, layout ? &*layout : nullptr, i / c.groups, i % c.groups);
    }
  });
}

}  // namespace dwindle::kernels
