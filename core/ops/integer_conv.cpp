// ConvInteger and QLinearConv, on any number of spatial axes.
#include <algorithm>

#include "core/ops/broadcast.h"
#include "core/ops/conv_shapes.h"
#include "core/ops/families.h"
#include "core/ops/integer_dot.h"
#include "core/ops/window.h"

namespace dwindle {
namespace {

void infer_conv(InferContext& c, size_t x_input, size_t w_input, DType dtype) {
  const auto &x = c.shape(x_input), &w = c.shape(w_input);
  if (!x || !w) return c.set_output(0, dtype);
  checked_groups(c, *x, *w);
  c.set_output(0, dtype, conv_output_shape(c.node(), *x, *w));
}

class IntegerConv {
 public:
  IntegerConv(const KernelContext& c, const Dims& x, const Dims& w)
      : groups_(checked_groups(c, to_shape(x), to_shape(w))), x_(x), w_(w) {
    Window window = read_window(c.node(), Dims(w.begin() + 2, w.end()));
    out_ = {x[0], w[0]};
    for (size_t i = 0; i < window.axes.size(); ++i) {
      out_.push_back(place_windows(c.node(), window, x[i + 2], window.axes[i]));
    }
    axes_ = std::move(window.axes);
    plane_ = element_count(Dims(x.begin() + 2, x.end()));
    places_ = element_count(Dims(out_.begin() + 2, out_.end()));
    taps_ = element_count(Dims(w.begin() + 2, w.end()));
    channels_ = w[1];
  }

  const Dims& out_shape() const { return out_; }
  int64_t places() const { return places_; }  // output elements of one channel

  // Calls `store(channel, sum, at)` for every output element, from several threads; `at` is its
  // index. Outside of the input x is 0, which centred integers are where real ones are.
  template <typename Store>
  void run(const int16_t* x, const int16_t* w, const Store& store) const {
    const int64_t depth = channels_ * taps_, filters = w_[0] / groups_;
    const int64_t work = std::max<int64_t>(depth * filters, 1);
    const int64_t grain = std::max<int64_t>(1, kElementGrain * 8 / work);
    parallel_for(x_[0] * groups_ * places_, grain, [&](int64_t begin, int64_t end) {
      std::vector<int16_t> patch(static_cast<size_t>(depth));
      std::vector<int32_t> sums(static_cast<size_t>(filters));
      for (int64_t i = begin; i < end; ++i) {
        const int64_t place = i % places_, image = i / places_ / groups_;
        const int64_t group = i / places_ % groups_;
        fill_patch(x + (image * groups_ + group) * channels_ * plane_, place, patch.data());
        dot_rows(w + group * filters * depth, patch.data(), filters, 1, depth, sums.data(), 1);
        for (int64_t f = 0; f < filters; ++f) {
          const int64_t channel = group * filters + f;
          store(channel, sums[static_cast<size_t>(f)], (image * w_[0] + channel) * places_ + place);
        }
      }
    });
  }

 private:
  // What the window at `place` sees of one group of one image, [channels, taps].
  void fill_patch(const int16_t* x, int64_t place, int16_t* patch) const {
    std::vector<int64_t> corner(axes_.size());
    for (size_t k = axes_.size(); k-- > 0;) {
      corner[k] = place % out_[k + 2] * axes_[k].stride - axes_[k].pad_begin;
      place /= out_[k + 2];
    }
    for (int64_t tap = 0; tap < taps_; ++tap) {
      int64_t rest = tap, offset = 0, stride = 1;
      bool inside = true;
      for (size_t k = axes_.size(); k-- > 0;) {
        const int64_t at = corner[k] + rest % axes_[k].kernel * axes_[k].dilation;
        rest /= axes_[k].kernel;
        inside = inside && at >= 0 && at < x_[k + 2];
        offset += at * stride;
        stride *= x_[k + 2];
      }
      for (int64_t channel = 0; channel < channels_; ++channel) {
        patch[channel * taps_ + tap] = inside ? x[channel * plane_ + offset] : int16_t{0};
      }
    }
  }

  int64_t groups_;
  Dims x_, w_, out_;
  std::vector<WindowAxis> axes_;
  int64_t plane_, places_, taps_, channels_;
};

// Zero points of weights go with output channels.
Dims channel_shape(const KernelContext& c, size_t input, size_t rank) {
  if (!c.has_input(input)) return {};
  Dims shape(rank, 1);
  shape[0] = c.input(input).size();
  return shape;
}

void expect_single(const KernelContext& c, size_t input) {
  if (c.has_input(input) && c.input(input).size() != 1) {
    c.fail("input " + std::to_string(input) + " must be one number");
  }
}

void conv_integer(KernelContext& c) {
  const Dims &x = c.input(0).shape(), &w = c.input(1).shape();
  const IntegerConv conv(c, x, w);
  expect_single(c, 2);
  const auto centred_x = centred(c, 0, 2, {});
  const auto centred_w = centred(c, 1, 3, channel_shape(c, 3, w.size()));
  int32_t* out = c.output(0, DType::kInt32, conv.out_shape()).mutable_data<int32_t>();
  conv.run(centred_x.data(), centred_w.data(),
           [out](int64_t, int32_t sum, int64_t at) { out[at] = sum; });
}

Kernel conv_integer_kernel(const Node&, int) { return conv_integer; }

void infer_conv_integer(InferContext& c) { infer_conv(c, 0, 1, DType::kInt32); }

// Inputs: x, its scale and zero point; w, its scale and zero point; scale and zero point of y;
// the bias, at scale_x · scale_w.
void qlinear_conv(KernelContext& c) {
  const Dims &x = c.input(0).shape(), &w = c.input(3).shape();
  const IntegerConv conv(c, x, w);
  const Requantize requantize(c, 6, 7);
  expect_single(c, 2);
  const auto centred_x = centred(c, 0, 2, {});
  const auto centred_w = centred(c, 3, 5, channel_shape(c, 5, w.size()));
  const float x_scale = single_scale(c, 1);
  std::vector<float> multipliers = to_floats(c.input(4));
  if (multipliers.size() == 1) multipliers.resize(static_cast<size_t>(w[0]), multipliers[0]);
  if (static_cast<int64_t>(multipliers.size()) != w[0]) {
    c.fail("the scales of the weights have shape " + to_string(c.input(4).shape()));
  }
  for (float& multiplier : multipliers) multiplier = x_scale * multiplier / requantize.scale();
  std::vector<int32_t> bias(static_cast<size_t>(w[0]), 0);
  if (c.has_input(8)) {
    const auto given = c.input(8).values<int32_t>();
    if (given.size() != bias.size()) c.fail("the bias has shape " + to_string(c.input(8).shape()));
    bias.assign(given.begin(), given.end());
  }
  std::byte* out = c.output(0, requantize.dtype(), conv.out_shape()).mutable_bytes();
  conv.run(centred_x.data(), centred_w.data(), [&](int64_t channel, int32_t sum, int64_t at) {
    const auto i = static_cast<size_t>(channel);
    const auto total = static_cast<uint32_t>(sum) + static_cast<uint32_t>(bias[i]);
    requantize.store(out, at, static_cast<int32_t>(total), multipliers[i]);
  });
}

Kernel qlinear_conv_kernel(const Node&, int) { return qlinear_conv; }

void infer_qlinear_conv(InferContext& c) { infer_conv(c, 0, 3, c.dtype(7)); }

}  // namespace

std::span<const OpRow> integer_conv_ops() {
  static constexpr OpRow kRows[] = {
      {"", "ConvInteger", 10, infer_conv_integer, conv_integer_kernel, 1u << 1},
      {"", "QLinearConv", 10, infer_qlinear_conv, qlinear_conv_kernel, 1u << 3 | 1u << 8},
  };
  return kRows;
}

}  // namespace dwindle
