// The wrapper: checks the arguments once, sizes the scratch and shares out the planes.
#include "core/kernels/depthwise_f32/depthwise_f32.h"

#include <algorithm>
#include <new>
#include <vector>

#include "core/support/error.h"
#include "core/support/threads.h"

namespace dwindle::kernels {
namespace {

// A strip of padded rows should leave room for the output in the first-level cache.
constexpr int64_t kStripFloats = 2 * 1024;
// Below this many multiply-adds a thread costs more than it brings.
constexpr int64_t kWorkPerThread = 1 << 15;
constexpr int64_t kLanes = 16;

void check(const DepthwiseF32& d) {
  const DepthwiseF32Geometry& g = d.geometry;
  if (d.batch < 0 || d.channels < 0 || d.multiplier < 0 || g.in_h < 0 || g.in_w < 0 ||
      g.out_h < 0 || g.out_w < 0) {
    throw BadOption("depthwise_f32: negative size");
  }
  if ((d.scale == nullptr) != (d.shift == nullptr)) {
    throw BadOption("depthwise_f32: a scale and a shift come together");
  }
  if (g.kernel_h < 1 || g.kernel_w < 1 || g.stride_h < 1 || g.stride_w < 1 || g.dilation_h < 1 ||
      g.dilation_w < 1) {
    throw BadOption("depthwise_f32: kernel sizes, strides and dilations must be at least 1");
  }
}

struct Aligned {
  explicit Aligned(int64_t floats)
      : data(static_cast<float*>(::operator new[](floats * sizeof(float), std::align_val_t{64}))) {
    std::fill_n(data, floats, 0.0f);
  }
  ~Aligned() { ::operator delete[](data, std::align_val_t{64}); }
  Aligned(const Aligned&) = delete;
  Aligned& operator=(const Aligned&) = delete;
  float* data;
};

}  // namespace

void depthwise_f32(const DepthwiseF32& args, DepthwiseF32Fn kernel) {
  check(args);
  const DepthwiseF32Geometry& g = args.geometry;
  const int64_t filters = args.channels * args.multiplier;
  const int64_t planes = args.batch * filters;
  if (planes == 0 || g.out_h == 0 || g.out_w == 0) return;
  static const DepthwiseF32Fn best = pick(depthwise_f32_variants());
  if (kernel == nullptr) kernel = best;

  const int64_t reach = (g.kernel_w - 1) * g.dilation_w / g.stride_w;
  const int64_t phase_width = (g.out_w + reach + kLanes - 1) / kLanes * kLanes;
  const int64_t row = phase_width * g.stride_w;
  const int64_t halo = (g.kernel_h - 1) * g.dilation_h + 1;
  const int64_t strip_rows =
      std::clamp<int64_t>((kStripFloats / row - halo) / g.stride_h + 1, 1, g.out_h);
  // The last vector of the last row may read on for a vector.
  const int64_t scratch_floats = ((strip_rows - 1) * g.stride_h + halo) * row + 8 * kLanes;

  const int64_t taps = g.kernel_h * g.kernel_w;
  std::vector<int64_t> tap_offset(taps);
  for (int64_t t = 0; t < taps; ++t) {
    const int64_t column = t % g.kernel_w * g.dilation_w;
    tap_offset[t] = t / g.kernel_w * g.dilation_h * row + column % g.stride_w * phase_width +
                    column / g.stride_w;
  }
  const int64_t grain = std::max<int64_t>(kWorkPerThread / (taps * g.out_h * g.out_w), 1);
  parallel_for(planes, grain, [&](int64_t begin, int64_t end) {
    const Aligned scratch(scratch_floats);
    for (int64_t plane = begin; plane < end; ++plane) {
      const int64_t filter = plane % filters;
      kernel({
          .geometry = g,
          .x = args.x + plane / args.multiplier * g.in_h * g.in_w,
          .w = args.w + filter * taps,
          .bias = args.bias != nullptr ? args.bias[filter] : 0.0f,
          .scales = args.scale != nullptr,
          .scale = args.scale != nullptr ? args.scale[filter] : 1.0f,
          .shift = args.shift != nullptr ? args.shift[filter] : 0.0f,
          .min = args.min,
          .max = args.max,
          .y = args.y + plane * g.out_h * g.out_w,
          .scratch = scratch.data,
          .tap_offset = tap_offset.data(),
          .phase_width = phase_width,
          .strip_rows = strip_rows,
      });
      if (args.activation != nullptr) {
        const int64_t size = g.out_h * g.out_w;
        unary_rows_f32(*args.activation, args.y + plane * size, 1, size, size);
      }
    }
  });
}

}  // namespace dwindle::kernels
