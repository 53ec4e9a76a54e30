// Which scale belongs to which element, for QuantizeLinear and DequantizeLinear: one for all, one
// for each index of an axis, or one for each block along an axis.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/ops/broadcast.h"
#include "core/ops/op.h"

namespace dwindle {

class QuantLayout {
 public:
  // `shape` of the tensor, `scale` of its scales. Raises BadModel where they do not fit.
  QuantLayout(const KernelContext& c, const Dims& shape, const Dims& scale, int64_t axis,
              int64_t block_size);

  // Whether the scale moves along with the elements of a run; otherwise one stands for all.
  bool steps() const { return steps_; }

  // Calls `run(offset, scale_offset, count)` for runs that cover the tensor, from several threads.
  template <typename Run>
  void for_each_run(const Run& run) const {
    if (single_) {
      parallel_for(inner_, kElementGrain,
                   [&](int64_t begin, int64_t end) { run(begin, int64_t{0}, end - begin); });
      return;
    }
    if (inner_ == 0 || extent_ == 0) return;  // the length of a run may be 0 there
    const int64_t grain = std::max<int64_t>(1, kElementGrain / length_);
    const int64_t runs_per_outer = along_inner_ ? extent_ : (extent_ + length_ - 1) / length_;
    parallel_for(outer_ * runs_per_outer, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t o = i / runs_per_outer, r = i % runs_per_outer;
        const int64_t first = along_inner_ ? r * inner_ : r * length_;
        const int64_t count = along_inner_ ? inner_ : std::min(length_, extent_ - r * length_);
        run(o * extent_ * inner_ + first, scale_offset(o, r), count);
      }
    });
  }

 private:
  int64_t scale_offset(int64_t o, int64_t r) const {
    if (!along_inner_) return block_ == 0 ? 0 : o * blocks_ + r;
    return block_ == 0 ? r : (o * blocks_ + r / block_) * inner_;
  }

  // The tensor as [outer, extent, inner] around the axis.
  int64_t outer_ = 1, extent_ = 1, inner_ = 1;
  int64_t block_ = 0, blocks_ = 0;
  int64_t length_ = 0;        // of a run
  bool single_ = false;       // one scale in all
  bool along_inner_ = false;  // a run is all of `inner` at one index of the axis
  bool steps_ = false;
};

// The scales as floats, and the zero points (all 0 where the input is omitted), which must have the
// scales' shape. Raises BadModel.
struct ScalesAndZeroPoints {
  std::vector<float> scales;
  std::vector<int32_t> zero_points;
};
ScalesAndZeroPoints read_scales(const KernelContext& c, size_t scale, size_t zero_point);

}  // namespace dwindle
