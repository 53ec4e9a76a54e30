// Conv, on one to three spatial axes.
#include <algorithm>

#include "core/kernels/conv_f32/conv_f32.h"
#include "core/ops/conv_shapes.h"
#include "core/ops/families.h"
#include "core/ops/fused_conv.h"
#include "core/ops/window.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

void infer_conv(InferContext& c) {
  const auto &x = c.shape(0), &w = c.shape(1);
  if (!x || !w) {
    const auto rank = x ? c.rank(0) : c.rank(1);
    if (!rank || *rank < 2) return c.set_output(0, c.dtype(0));
    Shape out(static_cast<size_t>(*rank));
    if (x) out[0] = (*x)[0];
    if (w) out[1] = (*w)[0];
    return c.set_output(0, c.dtype(0), std::move(out));
  }
  checked_groups(c, *x, *w);
  c.set_output(0, c.dtype(0), conv_output_shape(c.node(), *x, *w));
}

void conv(KernelContext& c, const ConvNeighbours& around) {
  const Tensor& x = c.input(0);
  const Tensor& w = c.input(1);
  const int64_t groups = checked_groups(c, to_shape(x.shape()), to_shape(w.shape()));
  const size_t spatial = x.shape().size() - 2;
  if (spatial > 3) c.unsupported("a convolution over " + std::to_string(spatial) + " axes");
  if (x.dtype() != DType::kFloat || w.dtype() != DType::kFloat) {
    c.unsupported("a convolution of " + std::string(dtype_name(x.dtype())));
  }
  Window window = read_window(c.node(), Dims(w.shape().begin() + 2, w.shape().end()));

  kernels::ConvF32 args;
  args.batch = x.shape()[0];
  args.groups = groups;
  args.in_channels = x.shape()[1];
  args.out_channels = w.shape()[0];
  Dims shape = {args.batch, args.out_channels};
  for (size_t i = 0; i < spatial; ++i) {
    WindowAxis& axis = window.axes[i];
    const int64_t in = x.shape()[i + 2];
    const int64_t before = around.padding ? around.padding->begin[i] : 0;
    const int64_t after = around.padding ? around.padding->end[i] : 0;
    const int64_t out = place_windows(c.node(), window, before + in + after, axis);
    const size_t at = i + 3 - spatial;
    args.in_size[at] = in;
    args.out_size[at] = out;
    args.kernel[at] = axis.kernel;
    args.stride[at] = axis.stride;
    args.dilation[at] = axis.dilation;
    args.pad_begin[at] = before + axis.pad_begin;
    shape.push_back(out);
  }
  if (c.has_input(2)) {
    const Tensor& bias = c.input(2);
    if (bias.shape() != Dims{args.out_channels}) c.fail("the bias must have one number a channel");
    args.bias = bias.data<float>();
  }
  Tensor& y = c.output(0, DType::kFloat, std::move(shape));
  if (y.size() == 0) return;
  args.x = x.data<float>();
  args.w = w.data<float>();
  args.y = y.mutable_data<float>();
  if (around.norm) {
    if (around.norm->scale.size() != static_cast<size_t>(args.out_channels)) {
      c.fail("the BatchNormalization behind it has another number of channels");
    }
    args.scale = around.norm->scale.data();
    args.shift = around.norm->shift.data();
  }
  args.min = around.bounds.min;
  args.max = around.bounds.max;
  args.activation = around.activation ? &*around.activation : nullptr;
  kernels::conv_f32(args);
}

Kernel conv_kernel(const Node&, int) { return fused_conv({}); }

}  // namespace

Kernel fused_conv(ConvNeighbours neighbours) {
  return [around = std::move(neighbours)](KernelContext& c) { conv(c, around); };
}

std::span<const OpRow> conv_ops() {
  static constexpr OpRow kRows[] = {
      {"", "Conv", 1, infer_conv, conv_kernel, 1u << 1 | 1u << 2},
  };
  return kRows;
}

}  // namespace dwindle
