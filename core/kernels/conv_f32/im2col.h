// The matrix of input patches that turns a convolution into a product, made block by block.
//
// Row (channel, tap) and column (output position), both row-major, hold the input value that the
// tap sees at that position, 0 outside the input. The input is first copied once into zero-padded
// rows, split by their phase modulo the stride; from there every part of a row of the matrix that
// belongs to one row of the output is a plain copy, without a comparison for each element.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/kernels/conv_f32/conv_f32.h"

namespace dwindle::kernels {

// What follows from the geometry alone: the layout of the padded input and where each tap lies.
class PatchPlanF32 {
 public:
  // `conv` must outlive the plan.
  explicit PatchPlanF32(const ConvF32& conv);

 private:
  friend class PatchesF32;
  const ConvF32& conv_;
  int64_t depth_, height_, pitch_;  // of the padded input; a row holds all its phases
  int64_t channel_;                 // floats of one padded channel
  std::vector<int64_t> phases_;     // which are used; the others are not kept
  int64_t phase_width_;
  std::vector<bool> used_row_;   // [depth_ * height_]
  std::vector<int64_t> offset_;  // of row k of the matrix, for output position 0
};

class PatchesF32 {
 public:
  // `x` is one group of one image, [channels, in_size]. `plan` must outlive this.
  PatchesF32(const PatchPlanF32& plan, const float* x);

  // Writes rows [k0, k1) of columns [n0, n1) to `to`, rows `ld` floats apart, and up to
  // kFillOvershootF32 floats more: at most kGemmF32PanelWidth columns at a time.
  void fill(int64_t k0, int64_t k1, int64_t n0, int64_t n1, float* to, int64_t ld) const;

 private:
  void pad_channel(const float* x, float* to) const;

  const PatchPlanF32& plan_;
  std::unique_ptr<float[]> padded_;
};

}  // namespace dwindle::kernels
