#include "core/kernels/conv_f32/im2col.h"

#include <algorithm>

namespace dwindle::kernels {
namespace {

// Where the tap (kd, kh, kw) of one channel lies for output position 0, per dimension.
struct Tap {
  int64_t d, h, w;
};

// to[i] = row[begin + i * stride] for i in [0, count), 0 where that is outside [0, width).
void copy_row(const float* row, int64_t width, int64_t begin, int64_t stride, int64_t count,
              float* to) {
  const int64_t before = begin < 0 ? std::min((-begin + stride - 1) / stride, count) : 0;
  const int64_t end =
      begin >= width ? before : std::clamp((width - begin + stride - 1) / stride, before, count);
  for (int64_t i = 0; i < before; ++i) to[i] = 0.0f;
  if (stride == 1) {
    for (int64_t i = before; i < end; ++i) to[i] = row[begin + i];
  } else {
    for (int64_t i = before; i < end; ++i) to[i] = row[begin + i * stride];
  }
  for (int64_t i = end; i < count; ++i) to[i] = 0.0f;
}

// One row of the matrix, columns [n0, n1), cut into runs that stay in one row of the output.
void fill_row(const ConvF32& c, const float* channel, const Tap& tap, int64_t n0, int64_t n1,
              float* to) {
  const auto& out = c.out_size;
  int64_t ow = n0 % out[2];
  int64_t oh = n0 / out[2] % out[1];
  int64_t od = n0 / out[2] / out[1];
  for (int64_t n = n0; n < n1;) {
    const int64_t run = std::min(out[2] - ow, n1 - n);
    const int64_t id = od * c.stride[0] + tap.d;
    const int64_t ih = oh * c.stride[1] + tap.h;
    const bool inside = id >= 0 && id < c.in_size[0] && ih >= 0 && ih < c.in_size[1];
    const float* row = channel + (inside ? (id * c.in_size[1] + ih) * c.in_size[2] : 0);
    copy_row(row, inside ? c.in_size[2] : 0, ow * c.stride[2] + tap.w, c.stride[2], run, to);
    to += run;
    n += run;
    ow = 0;
    if (++oh == out[1]) {
      oh = 0;
      ++od;
    }
  }
}

}  // namespace

void Im2colF32::fill(int64_t k0, int64_t k1, int64_t n0, int64_t n1, float* to, int64_t ld) const {
  const ConvF32& c = conv_;
  const int64_t plane = c.in_size[0] * c.in_size[1] * c.in_size[2];
  for (int64_t k = k0; k < k1; ++k, to += ld) {
    const int64_t kw = k % c.kernel[2];
    const int64_t kh = k / c.kernel[2] % c.kernel[1];
    const int64_t kd = k / c.kernel[2] / c.kernel[1] % c.kernel[0];
    const int64_t channel = k / (c.kernel[2] * c.kernel[1] * c.kernel[0]);
    const Tap tap = {kd * c.dilation[0] - c.pad_begin[0], kh * c.dilation[1] - c.pad_begin[1],
                     kw * c.dilation[2] - c.pad_begin[2]};
    fill_row(c, x_ + channel * plane, tap, n0, n1, to);
  }
}

}  // namespace dwindle::kernels
