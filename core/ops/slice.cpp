// Slice: a part of a tensor, by start, end and step along each axis.
#include <algorithm>

#include "core/ops/args.h"
#include "core/ops/families.h"
#include "core/ops/move.h"

namespace dwindle {
namespace {

// What one axis keeps: `count` elements from `start` on, `step` apart.
struct Range {
  int64_t start = 0, step = 1, count = 0;
};

// The arguments as given; attributes up to opset 9, inputs from 10 on.
struct SliceArguments {
  std::vector<int64_t> starts, ends;
  std::optional<std::vector<int64_t>> axes, steps;
};

// None where they are not known yet.
template <typename Context>
std::optional<SliceArguments> slice_arguments(const Context& c, int opset) {
  const bool as_inputs = opset >= 10;
  const auto starts = as_inputs ? integers_of(c, 1) : c.node().ints_attribute("starts");
  const auto ends = as_inputs ? integers_of(c, 2) : c.node().ints_attribute("ends");
  SliceArguments given;
  given.axes = as_inputs ? integers_of(c, 3) : c.node().ints_attribute("axes");
  if (as_inputs) given.steps = integers_of(c, 4);
  if (!starts || !ends) return std::nullopt;
  if (as_inputs && ((!given.axes && has_argument(c, 3)) || (!given.steps && has_argument(c, 4)))) {
    return std::nullopt;
  }
  given.starts = *starts;
  given.ends = *ends;
  if (starts->size() != ends->size() || (given.axes && given.axes->size() != starts->size()) ||
      (given.steps && given.steps->size() != starts->size())) {
    c.fail("starts, ends, axes and steps differ in length");
  }
  return given;
}

template <typename Context>
Range range_of(const Context& c, int64_t start, int64_t end, int64_t step, int64_t extent) {
  if (step == 0) c.fail("a step is 0");
  if (extent == 0) return {};
  // Any int64 may stand here, also as "to the very end".
  auto clamped = [&](int64_t at, int64_t low, int64_t high) {
    if (at < 0) at = at < -extent ? low : at + extent;
    return std::clamp(at, low, high);
  };
  if (step > 0) {
    start = clamped(start, 0, extent);
    end = clamped(end, 0, extent);
    return {start, step, end > start ? (end - start - 1) / step + 1 : 0};
  }
  start = clamped(start, 0, extent - 1);
  // The greatest numbers mean "to the very end" in either direction, as in ONNX Runtime.
  if (end == INT32_MAX || end == INT64_MAX) end = INT64_MIN;
  end = clamped(end, -1, extent - 1);
  const uint64_t backwards = ~static_cast<uint64_t>(step) + 1;
  if (start <= end) return {};
  const auto count = static_cast<int64_t>(static_cast<uint64_t>(start - end - 1) / backwards) + 1;
  return {start, count == 1 ? 1 : step, count};
}

// Axis and position in the arguments of every sliced axis.
template <typename Context>
std::vector<int64_t> sliced_axes(const Context& c, const SliceArguments& given, int64_t rank) {
  std::vector<int64_t> axes;
  for (size_t i = 0; i < given.starts.size(); ++i) {
    const int64_t axis = given.axes ? (*given.axes)[i] : static_cast<int64_t>(i);
    axes.push_back(c.normalize_axis(axis, rank));
  }
  normalize_axes(c, axes, rank);
  return axes;
}

void infer_slice(InferContext& c) {
  const auto& shape = c.shape(0);
  if (!shape) return c.set_output(0, c.dtype(0));
  const auto given = slice_arguments(c, c.opset());
  if (!given) {
    // Which axes are cut may be known although where they are cut is not.
    Shape out(shape->size());
    const auto axes = c.opset() >= 10 ? c.integers(3) : std::nullopt;
    if (axes) {
      const auto cut = normalize_axes(c, *axes, static_cast<int64_t>(shape->size()));
      for (size_t i = 0; i < out.size(); ++i) {
        if (!std::binary_search(cut.begin(), cut.end(), static_cast<int64_t>(i))) {
          out[i] = (*shape)[i];
        }
      }
    }
    return c.set_output(0, c.dtype(0), std::move(out));
  }
  Shape out = *shape;
  const auto axes = sliced_axes(c, *given, static_cast<int64_t>(shape->size()));
  const auto elements = c.elements(0);
  for (size_t i = 0; i < axes.size(); ++i) {
    Dim& dim = out[static_cast<size_t>(axes[i])];
    const int64_t step = given->steps ? (*given->steps)[i] : 1;
    if (!dim.known()) {
      const bool whole = step == 1 && given->starts[i] == 0 && given->ends[i] >= INT32_MAX;
      if (!whole) dim = Dim();
      continue;
    }
    const Range range = range_of(c, given->starts[i], given->ends[i], step, dim.extent);
    dim = Dim(range.count);
    if (!elements || shape->size() != 1) continue;
    Elements kept;
    for (int64_t k = 0; k < range.count; ++k) {
      kept.push_back((*elements)[static_cast<size_t>(range.start + k * range.step)]);
    }
    c.set_elements(0, std::move(kept));
  }
  c.set_output(0, c.dtype(0), std::move(out));
}

Kernel slice_kernel(const Node&, int opset) {
  return any_dtype(
      [opset](KernelContext& c) {
        const Tensor& in = c.input(0);
        const auto given = slice_arguments(c, opset);
        if (!given) c.fail("starts or ends are missing");
        const auto axes = sliced_axes(c, *given, in.rank());
        StridedCopy copy;
        copy.width = element_bytes(in.dtype());
        copy.dims = in.shape();
        copy.src_strides = row_major_strides(in.shape());
        int64_t offset = 0;
        for (size_t i = 0; i < axes.size(); ++i) {
          const auto axis = static_cast<size_t>(axes[i]);
          const Range range = range_of(c, given->starts[i], given->ends[i],
                                       given->steps ? (*given->steps)[i] : 1, in.shape()[axis]);
          offset += range.start * copy.src_strides[axis];
          copy.dims[axis] = range.count;
          copy.src_strides[axis] *= range.count > 1 ? range.step : 1;
        }
        if (copy.dims == in.shape() && copy.src_strides == row_major_strides(in.shape())) {
          return c.set_output(0, in);
        }
        Tensor& out = c.output(0, in.dtype(), copy.dims);
        if (out.size() == 0) return;
        copy.src = in.bytes() + offset * static_cast<int64_t>(copy.width);
        copy.dst = out.mutable_bytes();
        copy.dst_strides = row_major_strides(copy.dims);
        copy_strided(std::move(copy));
      },
      1u << 0);
}

}  // namespace

std::span<const OpRow> slice_ops() {
  static constexpr OpRow kRows[] = {
      {"", "Slice", 1, infer_slice, slice_kernel, 0, kMovesData, kNative},
  };
  return kRows;
}

}  // namespace dwindle
