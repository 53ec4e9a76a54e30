#include "core/kernels/conv_f32/padded_input.h"

#include <algorithm>
#include <cstring>

#include "core/kernels/conv_f32/copy_floats.h"
#include "core/support/threads.h"

namespace dwindle::kernels {
namespace {

// Below this many floats a thread costs more than it brings.
constexpr int64_t kFloatsPerThread = 1 << 15;

// Zeros at both ends of a row, to be written over where they are too many.
void clear_ends(float* row, int64_t count, int64_t first, int64_t last) {
  constexpr int64_t kEnd = 8;  // a size that the compiler knows
  if (count < kEnd || first > kEnd || count - last > kEnd) {
    std::fill_n(row, count, 0.0f);
    return;
  }
  std::memset(row, 0, kEnd * sizeof(float));
  std::memset(row + count - kEnd, 0, kEnd * sizeof(float));
}

// to[j] = row[begin + j * stride] for j in [0, count), 0 where that is outside [0, width).
void pad_row(const float* row, int64_t width, int64_t begin, int64_t stride, int64_t count,
             float* to) {
  const int64_t first = begin < 0 ? std::min((-begin + stride - 1) / stride, count) : 0;
  const int64_t last =
      begin >= width ? first : std::clamp((width - begin + stride - 1) / stride, first, count);
  if (first > 0 || last < count) clear_ends(to, count, first, last);
  if (stride == 1) {
    copy_floats(row + begin + first, to + first, last - first);
  } else if (stride == 2) {  // a constant lets the compiler use vectors
    for (int64_t j = first; j < last; ++j) to[j] = row[begin + j * 2];
  } else {
    for (int64_t j = first; j < last; ++j) to[j] = row[begin + j * stride];
  }
}

}  // namespace

PaddedLayoutF32::PaddedLayoutF32(const ConvF32& c) : conv_(c) {
  std::array<std::vector<int64_t>, 3> place;  // of the phase of each tap among those used
  channel_ = 1;
  for (int d = 0; d < 3; ++d) {
    plane_[d] = c.out_size[d] + (c.kernel[d] - 1) * c.dilation[d] / c.stride[d];
    for (int64_t tap = 0; tap < c.kernel[d]; ++tap) {
      const int64_t phase = tap * c.dilation[d] % c.stride[d];
      const auto known = std::find(phases_[d].begin(), phases_[d].end(), phase);
      place[d].push_back(known - phases_[d].begin());
      if (known == phases_[d].end()) phases_[d].push_back(phase);
    }
    channel_ *= plane_[d] * static_cast<int64_t>(phases_[d].size());
  }

  const auto step = [&](int d, int64_t tap) { return tap * c.dilation[d] / c.stride[d]; };
  const auto height = static_cast<int64_t>(phases_[1].size());
  const auto width = static_cast<int64_t>(phases_[2].size());
  const int64_t plane = plane_[0] * plane_[1] * plane_[2];
  const int64_t channels = c.in_channels / c.groups;
  const int64_t taps = c.kernel[0] * c.kernel[1] * c.kernel[2];
  taps_.reserve(static_cast<size_t>(channels * taps));
  for (int64_t kd = 0; kd < c.kernel[0]; ++kd) {
    for (int64_t kh = 0; kh < c.kernel[1]; ++kh) {
      for (int64_t kw = 0; kw < c.kernel[2]; ++kw) {
        const int64_t phase = (place[0][kd] * height + place[1][kh]) * width + place[2][kw];
        taps_.push_back(phase * plane + position(step(0, kd), step(1, kh), step(2, kw)));
      }
    }
  }
  // Every channel has the taps of the first.
  for (int64_t i = taps; i < channels * taps; ++i) {
    taps_.push_back(taps_[static_cast<size_t>(i - taps)] + channel_);
  }
}

int64_t PaddedLayoutF32::span() const {
  return position(conv_.out_size[0] - 1, conv_.out_size[1] - 1, conv_.out_size[2] - 1) + 1;
}

PaddedInputF32::PaddedInputF32(const PaddedLayoutF32& layout, const float* x) : layout_(layout) {
  const ConvF32& c = layout.conv_;
  const int64_t channels = c.in_channels / c.groups;
  const int64_t size = c.in_size[0] * c.in_size[1] * c.in_size[2];
  const int64_t floats = channels * layout.channel_;
  data_.reset(new float[floats + kReadOvershootF32]);
  std::fill_n(data_.get() + floats, kReadOvershootF32, 0.0f);
  parallel_for(channels, kFloatsPerThread / layout.channel_ + 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      pad_channel(x + i * size, data_.get() + i * layout.channel_);
    }
  });
}

void PaddedInputF32::pad_channel(const float* x, float* to) const {
  const ConvF32& c = layout_.conv_;
  const auto& [depth, height, width] = layout_.plane_;
  for (const int64_t phase_d : layout_.phases_[0]) {
    for (const int64_t phase_h : layout_.phases_[1]) {
      for (const int64_t phase_w : layout_.phases_[2]) {
        for (int64_t d = 0; d < depth; ++d) {
          for (int64_t h = 0; h < height; ++h, to += width) {
            const int64_t from_d = d * c.stride[0] + phase_d - c.pad_begin[0];
            const int64_t from_h = h * c.stride[1] + phase_h - c.pad_begin[1];
            const bool inside =
                from_d >= 0 && from_d < c.in_size[0] && from_h >= 0 && from_h < c.in_size[1];
            const float* row = inside ? x + (from_d * c.in_size[1] + from_h) * c.in_size[2] : x;
            pad_row(row, inside ? c.in_size[2] : 0, phase_w - c.pad_begin[2], c.stride[2], width,
                    to);
          }
        }
      }
    }
  }
}

}  // namespace dwindle::kernels
