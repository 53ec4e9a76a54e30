// The input of a convolution with its padding written out, laid out so that every tap of the filter
// sees all output positions one after another.
//
// Each channel is copied once into zero-padded planes, one for each phase of the stride that a tap
// meets (the even and the odd rows and columns at stride 2). In such a plane a step of the output
// is a step of one element, so position (d, h, w) of the output lies at the same place behind the
// start of every tap: tap + position(d, h, w).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/kernels/conv_f32/conv_f32.h"

namespace dwindle::kernels {

// What follows from the geometry alone.
class PaddedLayoutF32 {
 public:
  // `conv` must outlive the layout.
  explicit PaddedLayoutF32(const ConvF32& conv);

  const ConvF32& conv() const { return conv_; }
  // Where the input of tap k of the filter begins, in floats, for k in [0, channels * taps).
  const std::vector<int64_t>& taps() const { return taps_; }
  int64_t position(int64_t d, int64_t h, int64_t w) const {
    return (d * plane_[1] + h) * plane_[2] + w;
  }
  // Positions from the first to the last of the output, with those between that are none: where a
  // row is padded, some elements at its end belong to no output.
  int64_t span() const;

 private:
  friend class PaddedInputF32;
  const ConvF32& conv_;
  std::array<std::vector<int64_t>, 3> phases_;  // those that a tap meets; the others are not kept
  std::array<int64_t, 3> plane_;                // sizes of one phase of one channel
  int64_t channel_;                             // floats of all phases of one channel
  std::vector<int64_t> taps_;
};

class PaddedInputF32 {
 public:
  // `x` is one group of one image, [channels, in_size]. `layout` must outlive this.
  PaddedInputF32(const PaddedLayoutF32& layout, const float* x);

  const PaddedLayoutF32& layout() const { return layout_; }
  // Readable to kReadOvershootF32 floats past the last position of the last tap.
  const float* data() const { return data_.get(); }
  static constexpr int64_t kReadOvershootF32 = 16;

 private:
  void pad_channel(const float* x, float* to) const;

  const PaddedLayoutF32& layout_;
  std::unique_ptr<float[]> data_;
};

}  // namespace dwindle::kernels
