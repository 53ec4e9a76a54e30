#include "core/ops/reduce_axes.h"

#include <algorithm>
#include <numeric>

namespace dwindle {
namespace {

// Sorted, each once. `normalize` brings an axis into [0, rank).
template <typename Context>
std::vector<int64_t> normalized(const Context& c, std::vector<int64_t> axes, int64_t rank) {
  for (int64_t& axis : axes) axis = c.normalize_axis(axis, rank);
  std::sort(axes.begin(), axes.end());
  axes.erase(std::unique(axes.begin(), axes.end()), axes.end());
  return axes;
}

std::vector<int64_t> all_axes(int64_t rank) {
  std::vector<int64_t> axes(static_cast<size_t>(rank));
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

}  // namespace

ReduceSpec::ReduceSpec(const Node& node, int opset)
    : keepdims(node.int_attribute("keepdims", 1) != 0),
      noop_with_empty_axes(node.int_attribute("noop_with_empty_axes", 0) != 0),
      axes_in_input(opset >= (node.op_type == "ReduceSum" ? 13 : 18)) {
  if (!axes_in_input) attribute_axes = node.ints_attribute("axes").value_or(attribute_axes);
}

std::vector<int64_t> ReduceSpec::axes(const KernelContext& c) const {
  const int64_t rank = c.input(0).rank();
  std::vector<int64_t> given = attribute_axes;
  if (axes_in_input && c.has_input(1)) given = to_int64s(c.input(1));
  if (!given.empty()) return normalized(c, std::move(given), rank);
  if (axes_in_input && noop_with_empty_axes) return {};
  return all_axes(rank);
}

Dims reduced_shape(const Dims& shape, const std::vector<int64_t>& axes, bool keepdims) {
  Dims out;
  for (int64_t i = 0; i < static_cast<int64_t>(shape.size()); ++i) {
    if (!std::binary_search(axes.begin(), axes.end(), i)) {
      out.push_back(shape[static_cast<size_t>(i)]);
    } else if (keepdims) {
      out.push_back(1);
    }
  }
  return out;
}

void infer_reduce(InferContext& c) {
  const ReduceSpec spec(c.node(), c.opset());
  const auto rank = c.rank(0);
  std::vector<int64_t> axes = spec.attribute_axes;
  if (spec.axes_in_input && c.has_input(1)) {
    const auto known = c.integers(1);
    if (!known || !rank) {
      // The rank stays where extents of 1 do.
      c.set_output(
          0, c.dtype(0),
          spec.keepdims && rank ? std::optional(Shape(static_cast<size_t>(*rank))) : std::nullopt);
      return;
    }
    axes = *known;
  }
  if (axes.empty() && spec.axes_in_input && spec.noop_with_empty_axes) {
    return c.set_output(0, c.dtype(0), c.shape(0));
  }
  if (!rank) {
    const bool scalar = axes.empty() && !spec.keepdims;
    return c.set_output(0, c.dtype(0), scalar ? std::optional(Shape{}) : std::nullopt);
  }
  axes = axes.empty() ? all_axes(*rank) : normalized(c, std::move(axes), *rank);
  Shape shape;
  for (int64_t i = 0; i < *rank; ++i) {
    if (!std::binary_search(axes.begin(), axes.end(), i)) {
      shape.push_back((*c.shape(0))[static_cast<size_t>(i)]);
    } else if (spec.keepdims) {
      shape.push_back(Dim(1));
    }
  }
  c.set_output(0, c.dtype(0), shape);
}

bool reduces_all(const InferContext& c) {
  const ReduceSpec spec(c.node(), c.opset());
  if (!spec.axes_in_input || !c.has_input(1)) {
    return !spec.attribute_axes.empty() || !spec.axes_in_input || !spec.noop_with_empty_axes;
  }
  const auto axes = c.integers(1);
  return axes && (!axes->empty() || !spec.noop_with_empty_axes);
}

ReduceAxes::ReduceAxes(const Dims& shape, const std::vector<int64_t>& axes) {
  struct Group {
    bool reduced;
    int64_t extent;
  };
  std::vector<Group> groups;
  for (size_t i = 0; i < shape.size(); ++i) {
    const bool reduced = std::binary_search(axes.begin(), axes.end(), static_cast<int64_t>(i));
    (reduced ? reduced_count_ : kept_count_) *= shape[i];
    if (shape[i] == 1) continue;
    if (!groups.empty() && groups.back().reduced == reduced) {
      groups.back().extent *= shape[i];
    } else {
      groups.push_back({reduced, shape[i]});
    }
  }
  if (!groups.empty() && !groups.back().reduced) inner_kept_ = groups.back().extent;
  int64_t stride = 1;
  for (size_t i = groups.size(); i-- > 0;) {
    (groups[i].reduced ? reduced_ : kept_).push_back({groups[i].extent, stride});
    stride *= groups[i].extent;
  }
  std::reverse(kept_.begin(), kept_.end());
  std::reverse(reduced_.begin(), reduced_.end());
  if (reduced_.empty()) reduced_.push_back({1, 1});
}

int64_t ReduceAxes::kept_offset(int64_t result) const {
  int64_t offset = 0;
  for (size_t k = kept_.size(); k-- > 0;) {
    offset += result % kept_[k].extent * kept_[k].stride;
    result /= kept_[k].extent;
  }
  return offset;
}

}  // namespace dwindle
