// ConvTranspose, on one to three spatial axes: every input element adds a scaled kernel to the
// output. Done as a product that makes what each tap adds, and a sum over the taps.
#include <algorithm>
#include <array>

#include "core/kernels/gemm_f32/gemm_f32.h"
#include "core/ops/families.h"
#include "core/ops/window.h"
#include "core/support/threads.h"

namespace dwindle {
namespace {

constexpr int64_t kMostExtent = int64_t{1} << 30;

// Resolves the pads of an axis and returns its extent in the output. `padding` is output_padding,
// `wanted` output_shape, 0 where it is not given. Not known where auto_pad asks for more than the
// taps reach: the specification fills up, ONNX Runtime does not.
template <typename Context>
Dim place(const Context& c, const Window& window, int64_t in, int64_t padding, int64_t wanted,
          WindowAxis& axis) {
  if (in < 1 || in > kMostExtent) c.fail("the input has a spatial axis of " + std::to_string(in));
  const int64_t full = (in - 1) * axis.stride + padding + axis.reach();
  const bool same =
      window.auto_pad == AutoPad::kSameUpper || window.auto_pad == AutoPad::kSameLower;
  if (wanted == 0 && !same) {
    const int64_t out = full - axis.pad_begin - axis.pad_end;
    if (out < 1) c.fail("the pads take more than there is");
    return out;
  }
  const int64_t out = wanted != 0 ? wanted : in * axis.stride;
  if (out < 0 || out > kMostExtent * 4) c.fail("output_shape is out of range");
  if (wanted == 0 && full < out) return {};
  const int64_t total = std::max<int64_t>(0, full - out);
  axis.pad_begin = window.auto_pad == AutoPad::kSameUpper ? total / 2 : total - total / 2;
  axis.pad_end = total - axis.pad_begin;
  return out;
}

// The output's spatial extents; unknown ones where those of `x` are.
template <typename Context>
Shape output_shape(const Context& c, const Shape& x, const Dims& w, Window& window) {
  const int64_t groups = c.node().int_attribute("group", 1);
  const size_t spatial = window.axes.size();
  if (x.size() != spatial + 2) c.fail("the input and the weights differ in rank");
  if (groups < 1 || w[0] % groups != 0 || (x[1].known() && x[1].extent != w[0])) {
    c.fail("the channels of the input, the weights and the groups do not fit");
  }
  const auto padding =
      c.node().ints_attribute("output_padding").value_or(std::vector<int64_t>(spatial, 0));
  auto wanted = c.node().ints_attribute("output_shape").value_or(std::vector<int64_t>(spatial, 0));
  // Some exporters list batch and channels too.
  if (wanted.size() == spatial + 2) wanted.erase(wanted.begin(), wanted.begin() + 2);
  if (padding.size() != spatial || wanted.size() != spatial) {
    c.fail("output_padding and output_shape must have one number an axis");
  }
  Shape out = {x[0], w[1] * groups};
  for (size_t i = 0; i < spatial; ++i) {
    if (padding[i] < 0 || padding[i] > kMostExtent) c.fail("output_padding is out of range");
    const Dim& in = x[i + 2];
    out.push_back(in.known() ? place(c, window, in.extent, padding[i], wanted[i], window.axes[i])
                             : Dim());
  }
  return out;
}

void infer_conv_transpose(InferContext& c) {
  const auto& x = c.shape(0);
  const auto w = c.dims(1);
  if (!x || !w || w->size() < 3) return c.set_output(0, c.dtype(0));
  Window window = read_window(c.node(), Dims(w->begin() + 2, w->end()));
  c.set_output(0, c.dtype(0), output_shape(c, *x, *w, window));
}

// What one image has to do with one output channel.
struct Geometry {
  std::array<WindowAxis, 3> axes;
  std::array<int64_t, 3> in = {1, 1, 1}, out = {1, 1, 1};

  int64_t taps() const { return axes[0].kernel * axes[1].kernel * axes[2].kernel; }
  int64_t in_size() const { return in[0] * in[1] * in[2]; }
  int64_t out_size() const { return out[0] * out[1] * out[2]; }
};

// Adds what the taps make of every input element, [taps, in], to where it belongs in `y`.
void add_taps(const Geometry& g, const float* taps, float* y) {
  const auto& [d, h, w] = g.axes;
  for (int64_t tap = 0; tap < g.taps(); ++tap) {
    const float* from = taps + tap * g.in_size();
    const int64_t kw = tap % w.kernel, kh = tap / w.kernel % h.kernel;
    const int64_t kd = tap / w.kernel / h.kernel;
    // The inputs x whose place x * stride + shift lies in the output.
    const WindowRange range = windows_inside(w, kw, g.out[2], g.in[2]);
    const int64_t shift = kw * w.dilation - w.pad_begin;
    for (int64_t row = 0; row < g.in[0] * g.in[1]; ++row) {
      const int64_t z = row / g.in[1] * d.stride + kd * d.dilation - d.pad_begin;
      const int64_t v = row % g.in[1] * h.stride + kh * h.dilation - h.pad_begin;
      if (z < 0 || z >= g.out[0] || v < 0 || v >= g.out[1]) continue;
      float* to = y + (z * g.out[1] + v) * g.out[2] + shift;
      const float* line = from + row * g.in[2];
      for (int64_t x = range.begin; x < range.end; ++x) to[x * w.stride] += line[x];
    }
  }
}

void conv_transpose(KernelContext& c) {
  const Tensor& x = c.input(0);
  const Tensor& w = c.input(1);
  if (x.dtype() != DType::kFloat || w.dtype() != DType::kFloat) {
    c.unsupported("a convolution of " + std::string(dtype_name(x.dtype())));
  }
  if (w.rank() < 3 || w.rank() > 5) c.unsupported("a convolution of weights of this rank");
  const size_t spatial = w.shape().size() - 2;
  Window window = read_window(c.node(), Dims(w.shape().begin() + 2, w.shape().end()));
  const Shape known = output_shape(c, to_shape(x.shape()), w.shape(), window);
  if (!all_known(known)) c.unsupported("auto_pad with strides wider than the kernel");
  const Dims shape = to_dims(known);
  Geometry g;
  for (size_t i = 0; i < spatial; ++i) {
    const size_t at = i + 3 - spatial;
    g.axes[at] = window.axes[i];
    g.in[at] = x.shape()[i + 2];
    g.out[at] = shape[i + 2];
  }
  const int64_t groups = c.node().int_attribute("group", 1);
  const int64_t group_in = w.shape()[0] / groups, group_out = w.shape()[1];
  const float* bias = nullptr;
  if (c.has_input(2)) {
    if (c.input(2).shape() != Dims{shape[1]}) c.fail("the bias must have one number a channel");
    bias = c.input(2).data<float>();
  }
  float* y = c.output(0, DType::kFloat, shape).mutable_data<float>();
  const int64_t rows = group_out * g.taps();
  Tensor taps = Tensor::allocate(DType::kFloat, {rows, g.in_size()});
  float* made = taps.mutable_data<float>();
  for (int64_t i = 0; i < shape[0] * groups; ++i) {
    const int64_t group = i % groups;
    kernels::GemmF32 gemm;
    gemm.m = rows;
    gemm.n = g.in_size();
    gemm.k = group_in;
    gemm.a = w.data<float>() + group * group_in * rows;
    gemm.a_row_stride = 1;
    gemm.a_k_stride = rows;
    gemm.b = x.data<float>() + i * group_in * g.in_size();
    gemm.b_k_stride = g.in_size();
    gemm.c = made;
    gemm.ldc = g.in_size();
    kernels::gemm_f32(gemm);
    parallel_for(group_out, 1, [&](int64_t begin, int64_t end) {
      for (int64_t m = begin; m < end; ++m) {
        float* plane = y + (i * group_out + m) * g.out_size();
        std::fill_n(plane, g.out_size(), bias != nullptr ? bias[group * group_out + m] : 0.0f);
        add_taps(g, made + m * g.taps() * g.in_size(), plane);
      }
    });
  }
}

Kernel conv_transpose_kernel(const Node&, int) { return conv_transpose; }

}  // namespace

std::span<const OpRow> conv_transpose_ops() {
  static constexpr OpRow kRows[] = {
      {"", "ConvTranspose", 1, infer_conv_transpose, conv_transpose_kernel, 1u << 1 | 1u << 2},
  };
  return kRows;
}

}  // namespace dwindle
