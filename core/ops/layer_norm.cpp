// LayerNormalization, RMSNormalization, GroupNormalization.
#include <cmath>
#include <vector>

#include "core/ops/axis_view.h"
#include "core/ops/broadcast.h"
#include "core/ops/dispatch.h"
#include "core/ops/elementwise.h"
#include "core/ops/families.h"
#include "core/ops/lanes.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

template <typename T>
struct RowStatistics {
  T mean, inverse;  // inverse: of the standard deviation, or of the root of the mean square
};

// Two passes: the squares are of what is left after the mean, so nothing cancels.
template <typename T>
RowStatistics<T> statistics(const T* x, int64_t count, float epsilon, bool centered) {
  const T n = static_cast<T>(count);
  const T mean = centered ? sum_of(x, count) / n : T{0};
  const T squares = fold_lanes(
      x, count, T{0}, [](T a, T b) { return a + b; },
      [mean](T value) { return (value - mean) * (value - mean); });
  return {mean, T{1} / std::sqrt(squares / n + static_cast<T>(epsilon))};
}

int64_t rows_grain(int64_t row) {
  return std::max<int64_t>(1, kElementGrain / 4 / std::max<int64_t>(row, 1));
}

// --- LayerNormalization, RMSNormalization -----------------------------------------------------

struct LayerNorm {
  explicit LayerNorm(const Node& node)
      : axis(node.int_attribute("axis", -1)),
        epsilon(node.float_attribute("epsilon", 1e-5f)),
        centered(node.op_type == "LayerNormalization") {
    const int64_t stash = node.int_attribute("stash_type", 1);
    if (stash != 1 && stash != 0) {
      throw Unsupported(node.op_type + " node '" + node.name + "': stash_type " +
                        std::to_string(stash) + " is not supported");
    }
  }

  template <typename T>
  void run(KernelContext& c) const;

  int64_t axis;
  float epsilon;
  bool centered;
};

// out = out · scale + bias where those broadcast in a way that rows do not see.
template <typename T>
void scale_broadcast(const KernelContext& c, Tensor& out) {
  for (size_t i = 1; i <= 2; ++i) {
    if (!c.has_input(i)) continue;
    const Broadcast<2> loop(c, {&out.shape(), &c.input(i).shape()});
    if (loop.shape() != out.shape()) {
      c.fail("input " + std::to_string(i) + " has shape " + to_string(c.input(i).shape()) +
             ", which does not broadcast to " + to_string(out.shape()));
    }
    T* values = out.mutable_data<T>();
    const T* from = c.input(i).data<T>();
    loop.for_each_run(kElementGrain, [&](int64_t at, const auto& offsets, int64_t count) {
      for (int64_t k = 0; k < count; ++k) {
        const T by = from[offsets[1] + (loop.steps(1) ? k : 0)];
        values[at + k] = i == 1 ? values[at + k] * by : values[at + k] + by;
      }
    });
  }
}

template <typename T>
void write_statistics(KernelContext& c, const Dims& shape, int64_t axis,
                      const std::vector<RowStatistics<T>>& rows) {
  Dims kept = shape;
  std::fill(kept.begin() + axis, kept.end(), 1);
  for (size_t i = 1; i <= 2; ++i) {
    if (!c.wants_output(i)) continue;
    float* out = c.output(i, DType::kFloat, kept).template mutable_data<float>();
    for (const auto& row : rows) *out++ = static_cast<float>(i == 1 ? row.mean : row.inverse);
  }
}

template <typename T>
void LayerNorm::run(KernelContext& c) const {
  const Tensor& x = c.input(0);
  const int64_t at = c.normalize_axis(axis, x.rank());
  const Dims normalized(x.shape().begin() + at, x.shape().end());
  const int64_t row = element_count(normalized);
  const int64_t rows = element_count(Dims(x.shape().begin(), x.shape().begin() + at));
  for (size_t i = 1; i <= 2; ++i) {
    if (c.has_input(i) && c.input(i).dtype() != x.dtype()) c.fail("its inputs differ in dtype");
  }
  auto same = [&](size_t i) { return !c.has_input(i) || c.input(i).shape() == normalized; };
  const bool fused = same(1) && same(2);
  const T* scale = fused ? c.input(1).template data<T>() : nullptr;
  const T* bias = fused && c.has_input(2) ? c.input(2).template data<T>() : nullptr;
  std::vector<RowStatistics<T>> kept(static_cast<size_t>(rows));
  Tensor out = Tensor::allocate(x.dtype(), x.shape());
  const T* in = x.data<T>();
  T* values = out.mutable_data<T>();
  parallel_for(rows, rows_grain(row), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* __restrict from = in + r * row;
      T* __restrict to = values + r * row;
      const auto s = statistics(from, row, epsilon, centered);
      kept[static_cast<size_t>(r)] = s;
      for (int64_t i = 0; i < row; ++i) to[i] = (from[i] - s.mean) * s.inverse;
      if (scale != nullptr) {
        for (int64_t i = 0; i < row; ++i) to[i] *= scale[i];
      }
      if (bias != nullptr) {
        for (int64_t i = 0; i < row; ++i) to[i] += bias[i];
      }
    }
  });
  if (!fused) scale_broadcast<T>(c, out);
  c.set_output(0, std::move(out));
  if (centered) write_statistics(c, x.shape(), at, kept);
}

Kernel layer_norm_kernel(const Node& node, int) {
  return [norm = LayerNorm(node)](KernelContext& c) {
    dispatch(c, FloatTypes{}, c.input(0).dtype(), [&]<typename T>(TypeTag<T>) { norm.run<T>(c); });
  };
}

void infer_layer_norm(InferContext& c) {
  infer_same(c);
  std::optional<Shape> kept = c.shape(0);
  if (kept) {
    const int64_t axis =
        c.normalize_axis(c.node().int_attribute("axis", -1), static_cast<int64_t>(kept->size()));
    std::fill(kept->begin() + axis, kept->end(), Dim(1));
  }
  c.set_output(1, DType::kFloat, kept);
  c.set_output(2, DType::kFloat, kept);
}

// --- GroupNormalization -----------------------------------------------------------------------

struct GroupNorm {
  // Scale and bias have one number a group before opset 21, one a channel from then on.
  GroupNorm(const Node& node, int opset)
      : groups(node.int_attribute("num_groups", 0)),
        epsilon(node.float_attribute("epsilon", 1e-5f)),
        per_channel(opset >= 21) {}

  template <typename T>
  void run(KernelContext& c) const;

  int64_t groups;
  float epsilon;
  bool per_channel;
};

template <typename T>
void GroupNorm::run(KernelContext& c) const {
  const Tensor& x = c.input(0);
  if (x.rank() < 2) c.fail("input has shape " + to_string(x.shape()));
  const int64_t channels = x.shape()[1];
  if (groups < 1 || channels % groups != 0) {
    c.fail(std::to_string(groups) + " groups of " + std::to_string(channels) + " channels");
  }
  const int64_t parameters = per_channel ? channels : groups;
  for (size_t i = 1; i <= 2; ++i) {
    if (c.input(i).size() != parameters || c.input(i).dtype() != x.dtype()) {
      c.fail("input " + std::to_string(i) + " must have " + std::to_string(parameters) +
             " elements of the data's dtype");
    }
  }
  const T* scale = c.input(1).data<T>();
  const T* bias = c.input(2).data<T>();
  T* out = c.output(0, x.dtype(), x.shape()).template mutable_data<T>();
  if (x.size() == 0) return;
  const T* in = x.data<T>();
  const int64_t inner = x.size() / (x.shape()[0] * channels);
  const int64_t group_channels = channels / groups, row = group_channels * inner;
  parallel_for(x.shape()[0] * groups, rows_grain(row), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const auto s = statistics(in + r * row, row, epsilon, true);
      for (int64_t k = 0; k < group_channels; ++k) {
        const int64_t group = r % groups;
        const auto p = per_channel ? group * group_channels + k : group;
        const T factor = s.inverse * scale[p], shift = bias[p];
        const T* __restrict from = in + r * row + k * inner;
        T* __restrict to = out + r * row + k * inner;
        for (int64_t i = 0; i < inner; ++i) to[i] = (from[i] - s.mean) * factor + shift;
      }
    }
  });
}

Kernel group_norm_kernel(const Node& node, int opset) {
  return [norm = GroupNorm(node, opset)](KernelContext& c) {
    dispatch(c, FloatTypes{}, c.input(0).dtype(), [&]<typename T>(TypeTag<T>) { norm.run<T>(c); });
  };
}

constexpr uint32_t kScaleAndBias = 1u << 1 | 1u << 2;

}  // namespace

std::span<const OpRow> layer_norm_ops() {
  static constexpr OpRow kRows[] = {
      {"", "LayerNormalization", 17, infer_layer_norm, layer_norm_kernel, kScaleAndBias},
      {"", "RMSNormalization", 23, infer_same, layer_norm_kernel, 1u << 1},
      {"", "GroupNormalization", 18, infer_same, group_norm_kernel, kScaleAndBias},
  };
  return kRows;
}

}  // namespace dwindle
