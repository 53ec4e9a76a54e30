// AffineGrid and GridSample, on two or three spatial axes.
#include <algorithm>
#include <array>
#include <cmath>

#include "core/ops/args.h"
#include "core/ops/families.h"
#include "core/support/error.h"
#include "core/support/threads.h"

namespace dwindle {
namespace {

// ---- AffineGrid --------------------------------------------------------------------------------

void infer_affine_grid(InferContext& c) {
  const auto size = shape_from_input(c, 1);
  if (!size || (size->size() != 4 && size->size() != 5)) return c.set_output(0, c.dtype(0));
  Shape out(size->begin() + 2, size->end());
  out.insert(out.begin(), (*size)[0]);
  out.push_back(Dim(static_cast<int64_t>(size->size()) - 2));
  c.set_output(0, c.dtype(0), std::move(out));
}

template <typename T>
void affine_grid(KernelContext& c, const Dims& size, bool align) {
  const auto spatial = static_cast<int64_t>(size.size()) - 2;
  Dims shape(size.begin() + 2, size.end());
  const Dims extents = shape;
  const int64_t places = element_count(extents);
  shape.insert(shape.begin(), size[0]);
  shape.push_back(spatial);
  const T* theta = c.input(0).data<T>();
  T* to = c.output(0, c.input(0).dtype(), shape).template mutable_data<T>();
  for (int64_t i = 0; i < size[0] * places; ++i) {
    const T* matrix = theta + i / places * spatial * (spatial + 1);
    // x, y[, z], 1: the innermost axis comes first.
    std::array<T, 4> at{};
    int64_t rest = i % places;
    for (int64_t k = 0; k < spatial; ++k) {
      const int64_t extent = extents[static_cast<size_t>(spatial - 1 - k)];
      const auto index = static_cast<T>(rest % extent), count = static_cast<T>(extent);
      rest /= extent;
      T place = (2 * index + 1) / count - 1;
      if (align) place = extent > 1 ? 2 * index / (count - 1) - 1 : T{-1};
      at[static_cast<size_t>(k)] = place;
    }
    at[static_cast<size_t>(spatial)] = 1;
    for (int64_t row = 0; row < spatial; ++row) {
      T sum{0};
      for (int64_t k = 0; k <= spatial; ++k) {
        sum += matrix[row * (spatial + 1) + k] * at[static_cast<size_t>(k)];
      }
      *to++ = sum;
    }
  }
}

Kernel affine_grid_kernel(const Node& node, int) {
  const bool align = node.int_attribute("align_corners", 0) != 0;
  return [align](KernelContext& c) {
    const Dims size = to_int64s(c.input(1));
    const auto spatial = static_cast<int64_t>(size.size()) - 2;
    if ((spatial != 2 && spatial != 3) ||
        c.input(0).shape() != Dims{size[0], spatial, spatial + 1}) {
      c.fail("theta and size do not fit");
    }
    if (c.input(0).dtype() == DType::kDouble) return affine_grid<double>(c, size, align);
    affine_grid<float>(c, size, align);
  };
}

// ---- GridSample --------------------------------------------------------------------------------

enum class SampleMode { kLinear, kNearest, kCubic };
enum class SamplePadding { kZeros, kBorder, kReflection };

struct SampleRule {
  SampleMode mode = SampleMode::kLinear;
  SamplePadding padding = SamplePadding::kZeros;
  bool align = false;
};

void infer_grid_sample(InferContext& c) {
  const auto &x = c.shape(0), &grid = c.shape(1);
  if (!x || !grid || x->size() != grid->size() || x->size() < 3) {
    return c.set_output(0, c.dtype(0));
  }
  Shape out(grid->begin(), grid->end() - 1);
  out.insert(out.begin() + 1, (*x)[1]);
  c.set_output(0, c.dtype(0), std::move(out));
}

// Mirrors `at` at the ends of [low, high] until it lies inside.
float reflect(float at, float low, float high) {
  const float range = high - low;
  if (!(range > 0)) return low;
  const bool below = at < low;
  if (!below && at <= high) return at;
  const float beyond = below ? low - at : at - high;
  const float turns = std::floor(beyond / range);
  const float rest = beyond - turns * range;
  const bool even = std::fmod(turns, 2.0f) == 0;
  return even == below ? low + rest : high - rest;
}

// What one axis gives to a sample: up to four elements and their weights.
struct AxisTaps {
  int count = 0;
  std::array<int64_t, 4> index{};  // -1: outside, counts as 0
  std::array<float, 4> weight{};
};

AxisTaps axis_taps(const SampleRule& rule, float at, int64_t extent) {
  const auto last = static_cast<float>(extent - 1);
  const float low = rule.align ? 0 : -0.5f, high = rule.align ? last : last + 0.5f;
  at = rule.align ? (at + 1) / 2 * last : ((at + 1) * (last + 1) - 1) / 2;
  if (!std::isfinite(at)) at = -1e6f;  // nowhere
  if (rule.mode == SampleMode::kNearest) at = std::nearbyint(at);
  // A cubic sample clamps its elements one by one.
  if (rule.mode != SampleMode::kCubic && (at < low || at > high)) {
    if (rule.padding == SamplePadding::kBorder) at = std::clamp(at, 0.0f, last);
    if (rule.padding == SamplePadding::kReflection) at = reflect(at, low, high);
  }
  const float floor = std::floor(std::clamp(at, -1e9f, 1e9f));
  const float part = at - floor;
  AxisTaps taps;
  switch (rule.mode) {
    case SampleMode::kNearest:
      taps.count = 1;
      taps.weight = {1};
      taps.index[0] = static_cast<int64_t>(std::clamp(at, -1e9f, 1e9f));
      break;
    case SampleMode::kLinear:
      taps.count = 2;
      taps.weight = {1 - part, part};
      break;
    case SampleMode::kCubic: {
      constexpr float a = -0.75f;
      taps.count = 4;
      auto near = [](float x) { return ((a + 2) * x - (a + 3)) * x * x + 1; };
      auto far = [](float x) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; };
      taps.weight = {far(part + 1), near(part), near(1 - part), far(2 - part)};
      break;
    }
  }
  for (int i = 0; i < taps.count; ++i) {
    int64_t& index = taps.index[static_cast<size_t>(i)];
    if (taps.count > 1) index = static_cast<int64_t>(floor) + i - (taps.count == 4 ? 1 : 0);
    if (index >= 0 && index < extent) continue;
    if (rule.padding == SamplePadding::kZeros) index = -1;
    if (rule.padding == SamplePadding::kBorder) index = std::clamp<int64_t>(index, 0, extent - 1);
    if (rule.padding == SamplePadding::kReflection) {
      index = static_cast<int64_t>(reflect(static_cast<float>(index), low, high));
    }
  }
  return taps;
}

// All elements of a sample with their weights.
struct Taps {
  std::vector<int64_t> offset;
  std::vector<float> weight;
};

void gather_taps(const std::array<AxisTaps, 3>& axes, const std::array<int64_t, 3>& extent,
                 Taps& out) {
  out.offset.clear();
  out.weight.clear();
  for (size_t z = 0; z < static_cast<size_t>(axes[0].count); ++z) {
    for (size_t y = 0; y < static_cast<size_t>(axes[1].count); ++y) {
      for (size_t x = 0; x < static_cast<size_t>(axes[2].count); ++x) {
        const int64_t i = axes[0].index[z], j = axes[1].index[y], k = axes[2].index[x];
        if (i < 0 || j < 0 || k < 0) continue;
        out.offset.push_back((i * extent[1] + j) * extent[2] + k);
        out.weight.push_back(axes[0].weight[z] * axes[1].weight[y] * axes[2].weight[x]);
      }
    }
  }
}

template <typename T>
void grid_sample(KernelContext& c, const SampleRule& rule) {
  const Dims &x = c.input(0).shape(), &grid = c.input(1).shape();
  const size_t spatial = x.size() - 2;
  std::array<int64_t, 3> extent = {1, 1, 1};
  for (size_t i = 0; i < spatial; ++i) extent[i + 3 - spatial] = x[i + 2];
  Dims shape(grid.begin(), grid.end() - 1);
  const int64_t places = element_count(Dims(shape.begin() + 1, shape.end()));
  shape.insert(shape.begin() + 1, x[1]);
  const int64_t size = extent[0] * extent[1] * extent[2];
  const T* from = c.input(0).data<T>();
  const T* at = c.input(1).data<T>();
  T* to = c.output(0, c.input(0).dtype(), shape).template mutable_data<T>();
  parallel_for(x[0] * places, 256, [&](int64_t begin, int64_t end) {
    Taps taps;
    for (int64_t i = begin; i < end; ++i) {
      std::array<AxisTaps, 3> axes;
      for (AxisTaps& axis : axes) axis = {1, {0}, {1}};
      for (size_t k = 0; k < spatial; ++k) {
        // x comes first in the grid.
        const T place = at[i * static_cast<int64_t>(spatial) + static_cast<int64_t>(k)];
        axes[2 - k] = axis_taps(rule, static_cast<float>(place), extent[2 - k]);
      }
      gather_taps(axes, extent, taps);
      const int64_t batch = i / places;
      for (int64_t channel = 0; channel < x[1]; ++channel) {
        const T* plane = from + (batch * x[1] + channel) * size;
        T sum{0};
        for (size_t k = 0; k < taps.offset.size(); ++k) {
          sum += static_cast<T>(taps.weight[k]) * plane[taps.offset[k]];
        }
        to[(batch * x[1] + channel) * places + i % places] = sum;
      }
    }
  });
}

Kernel grid_sample_kernel(const Node& node, int) {
  SampleRule rule;
  const std::string mode = node.string_attribute("mode", "linear");
  const std::string padding = node.string_attribute("padding_mode", "zeros");
  rule.align = node.int_attribute("align_corners", 0) != 0;
  const bool linear = mode == "linear" || mode == "bilinear";
  const bool cubic = mode == "cubic" || mode == "bicubic";
  if ((!linear && !cubic && mode != "nearest") ||
      (padding != "zeros" && padding != "border" && padding != "reflection")) {
    throw BadModel("GridSample node '" + node.name + "': mode or padding_mode is not known");
  }
  rule.mode = linear ? SampleMode::kLinear : cubic ? SampleMode::kCubic : SampleMode::kNearest;
  rule.padding = padding == "zeros"    ? SamplePadding::kZeros
                 : padding == "border" ? SamplePadding::kBorder
                                       : SamplePadding::kReflection;
  return [rule](KernelContext& c) {
    const Dims &x = c.input(0).shape(), &grid = c.input(1).shape();
    const bool fits = x.size() >= 4 && x.size() == grid.size() && x[0] == grid[0] &&
                      grid.back() == static_cast<int64_t>(x.size()) - 2;
    if (!fits) c.fail("the input and the grid do not fit");
    if (x.size() > 5) c.unsupported("a grid over more than three axes");
    for (size_t i = 2; i < x.size(); ++i) {
      if (x[i] < 1) c.fail("the input has an empty spatial axis");
    }
    if (c.input(0).dtype() == DType::kDouble) return grid_sample<double>(c, rule);
    grid_sample<float>(c, rule);
  };
}

}  // namespace

std::span<const OpRow> grid_ops() {
  static constexpr OpRow kRows[] = {
      {"", "AffineGrid", 20, infer_affine_grid, affine_grid_kernel},
      {"", "GridSample", 16, infer_grid_sample, grid_sample_kernel},
  };
  return kRows;
}

}  // namespace dwindle
