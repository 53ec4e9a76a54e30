// DeformConv: a convolution whose taps lie where the data says, between elements; two spatial axes.
//
// Sources: Dai et al., "Deformable Convolutional Networks" (2017); Zhu et al., "Deformable ConvNets
// v2" (2019), which adds the mask.
#include <algorithm>
#include <cmath>

#include "core/kernels/gemm_f32/gemm_f32.h"
#include "core/ops/families.h"
#include "core/ops/window.h"
#include "core/support/threads.h"

namespace dwindle {
namespace {

void infer_deform_conv(InferContext& c) {
  const auto &x = c.shape(0), &w = c.shape(1), &offset = c.shape(2);
  if (!x || !w || !offset || offset->size() != x->size() || x->size() < 3) {
    return c.set_output(0, c.dtype(0));
  }
  Shape out = *offset;  // one for each place of the output
  out[0] = (*x)[0];
  out[1] = (*w)[0];
  c.set_output(0, c.dtype(0), std::move(out));
}

struct Plane {
  const float* values;
  int64_t height, width;

  float at(int64_t row, int64_t column) const {
    const bool inside = row >= 0 && row < height && column >= 0 && column < width;
    return inside ? values[row * width + column] : 0.0f;
  }
  // Between four elements; 0 for those outside.
  float sample(float row, float column) const {
    const auto rows = static_cast<float>(height), columns = static_cast<float>(width);
    if (!(row > -1 && row < rows && column > -1 && column < columns)) return 0;
    const float top = std::floor(row), left = std::floor(column);
    const float down = row - top, right = column - left;
    const auto y = static_cast<int64_t>(top), x = static_cast<int64_t>(left);
    return (1 - down) * ((1 - right) * at(y, x) + right * at(y, x + 1)) +
           down * ((1 - right) * at(y + 1, x) + right * at(y + 1, x + 1));
  }
};

struct DeformConv {
  WindowAxis rows, columns;
  int64_t channels, height, width;         // of the input
  int64_t filters, out_height, out_width;  // of the output
  int64_t groups, offset_groups;

  int64_t taps() const { return rows.kernel * columns.kernel; }
  int64_t places() const { return out_height * out_width; }

  // What the taps read of one image: [channels · taps, places].
  void gather(const float* image, const float* offset, const float* mask, float* patches) const {
    parallel_for(channels * taps(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t channel = i / taps(), tap = i % taps();
        const int64_t map = channel / (channels / offset_groups) * taps() + tap;
        const Plane plane{image + channel * height * width, height, width};
        const float* down = offset + 2 * map * places();
        const float* right = down + places();
        const float* share = mask == nullptr ? nullptr : mask + map * places();
        const int64_t row = tap / columns.kernel * rows.dilation - rows.pad_begin;
        const int64_t column = tap % columns.kernel * columns.dilation - columns.pad_begin;
        for (int64_t p = 0; p < places(); ++p) {
          const int64_t y = p / out_width * rows.stride + row;
          const int64_t x = p % out_width * columns.stride + column;
          const float value =
              plane.sample(static_cast<float>(y) + down[p], static_cast<float>(x) + right[p]);
          patches[i * places() + p] = share == nullptr ? value : value * share[p];
        }
      }
    });
  }
};

DeformConv read_geometry(KernelContext& c) {
  const Dims &x = c.input(0).shape(), &w = c.input(1).shape(), &offset = c.input(2).shape();
  if (x.size() != 4 || w.size() != 4) c.unsupported("other than two spatial axes");
  const Window window = read_window(c.node(), Dims(w.begin() + 2, w.end()));
  DeformConv d{window.axes[0],
               window.axes[1],
               x[1],
               x[2],
               x[3],
               w[0],
               0,
               0,
               c.node().int_attribute("group", 1),
               c.node().int_attribute("offset_group", 1)};
  d.out_height = place_windows(c.node(), window, x[2], d.rows);
  d.out_width = place_windows(c.node(), window, x[3], d.columns);
  if (d.groups < 1 || d.filters % d.groups != 0 || w[1] * d.groups != d.channels ||
      d.offset_groups < 1 || d.channels % d.offset_groups != 0) {
    c.fail("the channels of the input, the weights and the groups do not fit");
  }
  const int64_t maps = d.offset_groups * d.taps();
  if (offset != Dims{x[0], 2 * maps, d.out_height, d.out_width}) c.fail("the offsets do not fit");
  if (c.has_input(3) && c.input(3).shape() != Dims{d.filters}) {
    c.fail("the bias must have one number a channel");
  }
  if (c.has_input(4) && c.input(4).shape() != Dims{x[0], maps, d.out_height, d.out_width}) {
    c.fail("the mask does not fit");
  }
  return d;
}

void deform_conv(KernelContext& c) {
  for (size_t i = 0; i < 5; ++i) {
    if (c.has_input(i) && c.input(i).dtype() != DType::kFloat) {
      c.unsupported("a convolution of " + std::string(dtype_name(c.input(i).dtype())));
    }
  }
  const DeformConv d = read_geometry(c);
  const int64_t images = c.input(0).shape()[0], maps = d.offset_groups * d.taps();
  float* y = c.output(0, DType::kFloat, {images, d.filters, d.out_height, d.out_width})
                 .mutable_data<float>();
  Tensor buffer = Tensor::allocate(DType::kFloat, {d.channels * d.taps(), d.places()});
  float* patches = buffer.mutable_data<float>();
  const float* bias = c.has_input(3) ? c.input(3).data<float>() : nullptr;
  const int64_t group_filters = d.filters / d.groups, summed = d.channels / d.groups * d.taps();
  for (int64_t n = 0; n < images; ++n) {
    d.gather(c.input(0).data<float>() + n * d.channels * d.height * d.width,
             c.input(2).data<float>() + n * 2 * maps * d.places(),
             c.has_input(4) ? c.input(4).data<float>() + n * maps * d.places() : nullptr, patches);
    for (int64_t group = 0; group < d.groups; ++group) {
      kernels::GemmF32 gemm;
      gemm.m = group_filters;
      gemm.n = d.places();
      gemm.k = summed;
      gemm.a = c.input(1).data<float>() + group * group_filters * summed;
      gemm.a_row_stride = summed;
      gemm.b = patches + group * summed * d.places();
      gemm.b_k_stride = d.places();
      gemm.c = y + (n * d.filters + group * group_filters) * d.places();
      gemm.ldc = d.places();
      gemm.row_bias = bias == nullptr ? nullptr : bias + group * group_filters;
      kernels::gemm_f32(gemm);
    }
  }
}

Kernel deform_conv_kernel(const Node&, int) { return deform_conv; }

}  // namespace

std::span<const OpRow> deform_conv_ops() {
  static constexpr OpRow kRows[] = {
      {"", "DeformConv", 19, infer_deform_conv, deform_conv_kernel, 1u << 1 | 1u << 3},
  };
  return kRows;
}

}  // namespace dwindle
