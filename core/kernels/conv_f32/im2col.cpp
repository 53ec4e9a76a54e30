#include "core/kernels/conv_f32/im2col.h"

#include <algorithm>
#include <cstring>

#include "core/kernels/gemm_f32/gemm_f32.h"
#include "core/support/threads.h"

namespace dwindle::kernels {
namespace {

// Below this many floats a thread costs more than it brings.
constexpr int64_t kFloatsPerThread = 1 << 15;

// Neighbouring columns that lie in one row of the output, and so in one row of the padded input.
struct Run {
  int64_t from, to, count;
};

// Copies `count` floats and up to kFillOvershootF32 more, in pieces whose size the compiler knows.
void copy_run(const float* from, float* to, int64_t count) {
  for (; count > 8; count -= 16, from += 16, to += 16) std::memcpy(to, from, 16 * sizeof(float));
  if (count > 0) std::memcpy(to, from, 8 * sizeof(float));
}

// to[j] = row[begin + j * stride] for j in [0, count), 0 where that is outside [0, width).
void pad_row(const float* row, int64_t width, int64_t begin, int64_t stride, int64_t count,
             float* to) {
  const int64_t before = begin < 0 ? std::min((-begin + stride - 1) / stride, count) : 0;
  const int64_t end =
      begin >= width ? before : std::clamp((width - begin + stride - 1) / stride, before, count);
  std::fill(to, to + before, 0.0f);
  if (stride == 1) {
    std::copy(row + begin + before, row + begin + end, to + before);
  } else if (stride == 2) {  // a constant lets the compiler use vectors
    for (int64_t j = before; j < end; ++j) to[j] = row[begin + j * 2];
  } else {
    for (int64_t j = before; j < end; ++j) to[j] = row[begin + j * stride];
  }
  std::fill(to + end, to + count, 0.0f);
}

}  // namespace

PatchPlanF32::PatchPlanF32(const ConvF32& c) : conv_(c) {
  const auto padded = [&](int d) {
    return (c.out_size[d] - 1) * c.stride[d] + (c.kernel[d] - 1) * c.dilation[d] + 1;
  };
  depth_ = padded(0);
  height_ = padded(1);
  phase_width_ = c.out_size[2] + (c.kernel[2] - 1) * c.dilation[2] / c.stride[2];
  std::vector<int64_t> place(c.stride[2], -1);  // of a phase among those used
  for (int64_t kw = 0; kw < c.kernel[2]; ++kw) {
    const int64_t phase = kw * c.dilation[2] % c.stride[2];
    if (place[phase] >= 0) continue;
    place[phase] = static_cast<int64_t>(phases_.size());
    phases_.push_back(phase);
  }
  pitch_ = phase_width_ * static_cast<int64_t>(phases_.size());
  channel_ = depth_ * height_ * pitch_;

  used_row_.resize(depth_ * height_);
  for (int64_t od = 0; od < c.out_size[0] * c.kernel[0]; ++od) {
    const int64_t d = od / c.kernel[0] * c.stride[0] + od % c.kernel[0] * c.dilation[0];
    for (int64_t oh = 0; oh < c.out_size[1] * c.kernel[1]; ++oh) {
      const int64_t h = oh / c.kernel[1] * c.stride[1] + oh % c.kernel[1] * c.dilation[1];
      used_row_[d * height_ + h] = true;
    }
  }

  for (int64_t channel = 0; channel < c.in_channels / c.groups; ++channel) {
    for (int64_t kd = 0; kd < c.kernel[0]; ++kd) {
      for (int64_t kh = 0; kh < c.kernel[1]; ++kh) {
        const int64_t row = kd * c.dilation[0] * height_ + kh * c.dilation[1];
        for (int64_t kw = 0; kw < c.kernel[2]; ++kw) {
          const int64_t column = kw * c.dilation[2];
          offset_.push_back(channel * channel_ + row * pitch_ +
                            place[column % c.stride[2]] * phase_width_ + column / c.stride[2]);
        }
      }
    }
  }
}

PatchesF32::PatchesF32(const PatchPlanF32& plan, const float* x) : plan_(plan) {
  const ConvF32& c = plan.conv_;
  const int64_t channels = c.in_channels / c.groups;
  const int64_t plane = c.in_size[0] * c.in_size[1] * c.in_size[2];
  const int64_t floats = channels * plan.channel_;
  padded_.reset(new float[floats + kFillOvershootF32]);
  std::fill_n(padded_.get() + floats, kFillOvershootF32, 0.0f);
  parallel_for(channels, kFloatsPerThread / plan.channel_ + 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      pad_channel(x + i * plane, padded_.get() + i * plan.channel_);
    }
  });
}

void PatchesF32::pad_channel(const float* x, float* to) const {
  const ConvF32& c = plan_.conv_;
  for (int64_t row = 0; row < plan_.depth_ * plan_.height_; ++row) {
    const int64_t d = row / plan_.height_ - c.pad_begin[0];
    const int64_t h = row % plan_.height_ - c.pad_begin[1];
    const bool inside = d >= 0 && d < c.in_size[0] && h >= 0 && h < c.in_size[1];
    const float* from = x + (inside ? (d * c.in_size[1] + h) * c.in_size[2] : 0);
    for (const int64_t phase : plan_.phases_) {
      if (plan_.used_row_[row]) {
        pad_row(from, inside ? c.in_size[2] : 0, phase - c.pad_begin[2], c.stride[2],
                plan_.phase_width_, to);
      }
      to += plan_.phase_width_;
    }
  }
}

void PatchesF32::fill(int64_t k0, int64_t k1, int64_t n0, int64_t n1, float* to, int64_t ld) const {
  const ConvF32& c = plan_.conv_;
  Run runs[kGemmF32PanelWidth];
  int64_t count = 0;
  for (int64_t n = n0; n < n1; n += runs[count++].count) {
    const int64_t ow = n % c.out_size[2];
    const int64_t oh = n / c.out_size[2] % c.out_size[1];
    const int64_t od = n / c.out_size[2] / c.out_size[1];
    const int64_t row = od * c.stride[0] * plan_.height_ + oh * c.stride[1];
    runs[count] = {row * plan_.pitch_ + ow, n - n0, std::min(c.out_size[2] - ow, n1 - n)};
  }
  // What a run writes too much, the next one or the next row overwrites.
  for (int64_t k = k0; k < k1; ++k, to += ld) {
    const float* from = padded_.get() + plan_.offset_[k];
    for (int64_t i = 0; i < count; ++i) {
      copy_run(from + runs[i].from, to + runs[i].to, runs[i].count);
    }
  }
}

}  // namespace dwindle::kernels
