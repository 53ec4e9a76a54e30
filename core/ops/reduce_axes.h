// The axes of a reduction: where they are said, and how a tensor is walked along them.
#pragma once

#include <cstdint>
#include <vector>

#include "core/ops/op.h"
#include "core/support/threads.h"

namespace dwindle {

// What a Reduce* node says. Axes are an input from opset 18 on (ReduceSum: 13), else an attribute.
struct ReduceSpec {
  ReduceSpec(const Node& node, int opset);

  // In [0, rank), in order, each once. Empty: every element is reduced by itself. Raises BadModel
  // where an axis is out of range.
  std::vector<int64_t> axes(const KernelContext& c) const;

  bool keepdims;
  bool noop_with_empty_axes;
  bool axes_in_input;
  std::vector<int64_t> attribute_axes;
};

Dims reduced_shape(const Dims& shape, const std::vector<int64_t>& axes, bool keepdims);

// Shape inference of all Reduce* ops.
void infer_reduce(InferContext& c);
// Whether it is known that all axes of input 0, a vector, are reduced.
bool reduces_all(const InferContext& c);

// A tensor's axes apart: those kept and those reduced, neighbours of a kind merged.
class ReduceAxes {
 public:
  ReduceAxes(const Dims& shape, const std::vector<int64_t>& axes);

  int64_t kept_count() const { return kept_count_; }        // results
  int64_t reduced_count() const { return reduced_count_; }  // elements of each
  // How many results lie side by side in the tensor; 1 where the innermost axis is reduced.
  int64_t inner_kept() const { return inner_kept_; }
  // Offset of the first element of a result.
  int64_t kept_offset(int64_t result) const;

  // Calls `run(offset, count, stride)` for runs that together are the elements of a result,
  // relative to its first element.
  template <typename Run>
  void for_each_reduced_run(const Run& run) const {
    if (reduced_count_ == 0) return;
    const Axis& last = reduced_.back();
    const int64_t outer = reduced_count_ / last.extent;
    for (int64_t i = 0; i < outer; ++i) {
      int64_t rest = i, offset = 0;
      for (size_t k = reduced_.size() - 1; k-- > 0;) {
        offset += rest % reduced_[k].extent * reduced_[k].stride;
        rest /= reduced_[k].extent;
      }
      run(offset, last.extent, last.stride);
    }
  }

 private:
  struct Axis {
    int64_t extent, stride;
  };
  std::vector<Axis> kept_, reduced_;  // outermost first; reduced_ is never empty
  int64_t kept_count_ = 1, reduced_count_ = 1, inner_kept_ = 1;
};

}  // namespace dwindle
