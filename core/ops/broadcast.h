// Iterating over tensors of different shapes that broadcast to one, as ONNX's Broadcasting.md
// defines it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/ops/op.h"
#include "core/support/threads.h"

namespace dwindle {

// Elements that a thread takes at least: fewer are done sooner than they are handed out.
constexpr int64_t kElementGrain = 32768;

// The common shape of `shapes`. Raises BadModel where they do not broadcast.
Dims broadcast_dims(const KernelContext& c, const std::vector<const Dims*>& shapes);

// Axes along which the same inputs move are merged, so that the innermost loop is as long as can
// be: one loop for equal shapes, one loop a channel for [N,C,H,W] with [C,1,1].
struct MergedAxes {
  struct Axis {
    int64_t extent;
    uint32_t moving;  // bit k: input k has this axis, otherwise it repeats
  };
  std::vector<Axis> axes;  // at least one
};
MergedAxes merge_axes(const Dims& out, const std::vector<const Dims*>& shapes);

// N inputs that broadcast to one output. Made for N of 2 and 3.
template <size_t N>
class Broadcast {
 public:
  using Offsets = std::array<int64_t, N>;

  using Run = std::function<void(int64_t out, const Offsets& inputs, int64_t count)>;

  Broadcast(const KernelContext& c, const std::vector<const Dims*>& shapes);

  const Dims& shape() const { return shape_; }
  int64_t size() const { return size_; }
  // Whether input k moves along with the output in a run; otherwise one element stands for all.
  bool steps(size_t k) const { return steps_[k]; }

  // Calls `run(out_offset, offsets, count)` for runs that cover the output, from several threads.
  void for_each_run(int64_t grain, const Run& run) const;

 private:
  struct Outer {
    int64_t extent;
    Offsets stride;
  };

  void range(int64_t begin, int64_t end, const Run& run) const;

  Dims shape_;
  int64_t size_;
  int64_t inner_ = 1;
  std::array<bool, N> steps_{};
  std::vector<Outer> outer_;  // innermost first
};

// out[i] = f(a[i], b[i]) where either side may stand still; four loops that the compiler can
// vectorize.
template <typename A, typename B, typename R, typename F>
void binary_run(const A* __restrict a, bool a_steps, const B* __restrict b, bool b_steps,
                R* __restrict out, int64_t count, const F& f) {
  if (a_steps && b_steps) {
    for (int64_t i = 0; i < count; ++i) out[i] = f(a[i], b[i]);
  } else if (a_steps) {
    const B y = *b;
    for (int64_t i = 0; i < count; ++i) out[i] = f(a[i], y);
  } else if (b_steps) {
    const A x = *a;
    for (int64_t i = 0; i < count; ++i) out[i] = f(x, b[i]);
  } else {
    std::fill_n(out, count, static_cast<R>(f(*a, *b)));
  }
}

template <typename A, typename B, typename R, typename F>
void broadcast_binary(const Broadcast<2>& loop, const A* a, const B* b, R* out, const F& f) {
  loop.for_each_run(kElementGrain, [&](int64_t at, const Broadcast<2>::Offsets& from, int64_t n) {
    binary_run(a + from[0], loop.steps(0), b + from[1], loop.steps(1), out + at, n, f);
  });
}

}  // namespace dwindle
