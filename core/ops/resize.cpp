// Resize and its forerunner Upsample, on any axes.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/ops/args.h"
#include "core/ops/families.h"
#include "core/ops/move.h"
#include "core/ops/resize_axis.h"
#include "core/support/threads.h"

namespace dwindle {
namespace {

// ---- Scales and sizes --------------------------------------------------------------------------

// Where each version of the two operators keeps its arguments; -1: nowhere.
struct Places {
  int roi, scales, sizes;
};

Places places_of(const Node& node, int opset) {
  if (node.op_type == "Upsample") return {-1, opset >= 9 ? 1 : -1, -1};
  return opset >= 11 ? Places{1, 2, 3} : Places{-1, 1, -1};
}

std::optional<std::vector<float>> floats_of(const KernelContext& c, int place) {
  if (place < 0 || !c.has_input(static_cast<size_t>(place))) return std::nullopt;
  return to_floats(c.input(static_cast<size_t>(place)));
}
std::optional<std::vector<float>> floats_of(const InferContext& c, int place) {
  const Tensor* tensor = place < 0 ? nullptr : c.constant(static_cast<size_t>(place));
  return tensor != nullptr ? std::optional(to_floats(*tensor)) : std::nullopt;
}

// The axes that scales, sizes and roi speak of.
template <typename Context>
std::vector<size_t> resized_axes(const Context& c, int64_t rank, int opset) {
  std::vector<size_t> axes;
  const auto given = opset >= 18 ? c.node().ints_attribute("axes") : std::nullopt;
  if (given) normalize_axes(c, *given, rank);
  const int64_t count = given ? static_cast<int64_t>(given->size()) : rank;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t axis = given ? (*given)[static_cast<size_t>(i)] : i;
    axes.push_back(static_cast<size_t>(c.normalize_axis(axis, rank)));
  }
  return axes;
}

int64_t extent_of(double extent) { return static_cast<int64_t>(std::min(extent, 0x1p40)); }

// Sizes as they stand, or with one scale for all axes where the aspect ratio is to be kept.
template <typename Context>
void set_sizes(const Context& c, const std::vector<size_t>& axes, const std::vector<int64_t>& sizes,
               std::vector<ResizeAxis>& out) {
  const std::string policy = c.node().string_attribute("keep_aspect_ratio_policy", "stretch");
  if (policy != "stretch" && policy != "not_larger" && policy != "not_smaller") {
    c.fail("keep_aspect_ratio_policy '" + policy + "' is not known");
  }
  std::optional<float> common;
  for (size_t i = 0; i < axes.size(); ++i) {
    ResizeAxis& axis = out[axes[i]];
    if (sizes[i] < 0) c.fail("a size is negative");
    axis.out = sizes[i];
    axis.scale = static_cast<float>(sizes[i]) / static_cast<float>(axis.in);
    const bool better =
        !common || (policy == "not_larger" ? axis.scale < *common : axis.scale > *common);
    if (better) common = axis.scale;
  }
  if (policy == "stretch" || !common) return;
  for (size_t i : axes) {
    out[i].scale = *common;
    out[i].out =
        extent_of(std::floor(static_cast<double>(*common * static_cast<float>(out[i].in)) + 0.5));
  }
}

// None where scales and sizes are not known yet.
template <typename Context>
std::optional<std::vector<ResizeAxis>> resize_axes(const Context& c, const Dims& in, int opset) {
  const Places places = places_of(c.node(), opset);
  const auto axes = resized_axes(c, static_cast<int64_t>(in.size()), opset);
  std::vector<ResizeAxis> out;
  for (int64_t extent : in) out.push_back({extent, extent, 1, 0, 1});
  auto scales = floats_of(c, places.scales);
  if (c.node().op_type == "Upsample" && opset < 9) scales = c.node().floats_attribute("scales");
  const bool scaled = scales && !scales->empty();
  if (!scaled) {
    const auto sizes =
        places.sizes < 0 ? std::nullopt : integers_of(c, static_cast<size_t>(places.sizes));
    if (!sizes || sizes->empty()) return std::nullopt;
    if (sizes->size() != axes.size()) c.fail("sizes must have one number an axis");
    set_sizes(c, axes, *sizes, out);
    return out;
  }
  if (scales->size() != axes.size()) c.fail("scales must have one number an axis");
  for (size_t i = 0; i < axes.size(); ++i) {
    ResizeAxis& axis = out[axes[i]];
    axis.scale = (*scales)[i];
    if (!(axis.scale > 0)) c.fail("a scale is not above 0");
    axis.out = extent_of(std::floor(axis.scale * static_cast<float>(axis.in)));
  }
  return out;
}

void infer_resize(InferContext& c) {
  const auto& shape = c.shape(0);
  if (!shape) return c.set_output(0, c.dtype(0));
  // Unknown extents stand in as 1; what they become is not known.
  Dims in;
  for (const Dim& dim : *shape) in.push_back(dim.known() ? dim.extent : 1);
  const bool all = all_known(*shape);
  const auto axes = resize_axes(c, in, c.opset());
  Shape out(shape->size());
  for (size_t i = 0; axes && i < out.size(); ++i) {
    const ResizeAxis& axis = (*axes)[i];
    const bool by_size = c.integers(3) && !c.integers(3)->empty() && c.node().is("Resize");
    const bool kept_ratio = c.node().attribute("keep_aspect_ratio_policy") != nullptr;
    if ((*shape)[i].known() && (all || !kept_ratio)) {
      out[i] = axis.out;
    } else if (axis.scale == 1 && !by_size) {
      out[i] = (*shape)[i];
    }
  }
  c.set_output(0, c.dtype(0), std::move(out));
}

// ---- The kernel --------------------------------------------------------------------------------

// Weighted sums along one axis; `dims` is [outer, axis, inner].
template <typename T>
void resize_axis(const T* from, const Dims& dims, const ResizeWeights& weights, int64_t out,
                 T* to) {
  const int64_t inner = dims[2];
  const int64_t work = weights.taps * inner;
  parallel_for(dims[0] * out, 65536 / (work + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* plane = from + row / out * dims[1] * inner;
      const int64_t tap = row % out * weights.taps;
      T* target = to + row * inner;
      std::fill_n(target, inner, T{0});
      for (int64_t k = tap; k < tap + weights.taps; ++k) {
        const T weight = static_cast<T>(weights.weights[static_cast<size_t>(k)]);
        if (weight == 0) continue;
        const T* source = plane + weights.indices[static_cast<size_t>(k)] * inner;
        for (int64_t i = 0; i < inner; ++i) target[i] += weight * source[i];
      }
    }
  });
}

// Along the innermost axis there is nothing to run along: a dot product an element.
template <typename T>
void resize_rows(const T* from, const Dims& dims, const ResizeWeights& weights, int64_t out,
                 T* to) {
  parallel_for(dims[0], 65536 / (weights.taps * out + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* source = from + row * dims[1];
      size_t tap = 0;
      for (int64_t x = 0; x < out; ++x) {
        T sum{0};
        for (int64_t k = 0; k < weights.taps; ++k, ++tap) {
          const T weight = static_cast<T>(weights.weights[tap]);
          if (weight != 0) sum += weight * source[weights.indices[tap]];
        }
        to[row * out + x] = sum;
      }
    }
  });
}

template <typename T>
Tensor interpolate(Tensor in, const ResizeRule& rule, const std::vector<ResizeAxis>& axes,
                   float extrapolation) {
  std::vector<std::pair<size_t, std::vector<int64_t>>> outside;
  for (size_t axis = axes.size(); axis-- > 0;) {
    if (axes[axis].is_identity(rule)) continue;
    const ResizeWeights weights = resize_weights(rule, axes[axis]);
    outside.emplace_back(axis, weights.outside);
    Dims shape = in.shape();
    const auto at = shape.begin() + static_cast<std::ptrdiff_t>(axis);
    const Dims dims = {element_count(Dims(shape.begin(), at)), *at,
                       element_count(Dims(at + 1, shape.end()))};
    shape[axis] = axes[axis].out;
    Tensor out = Tensor::allocate(in.dtype(), shape);
    T* to = out.mutable_data<T>();
    const bool innermost = dims[2] == 1;
    (innermost ? resize_rows<T> : resize_axis<T>)(in.data<T>(), dims, weights, shape[axis], to);
    in = std::move(out);
  }
  for (const auto& [axis, places] : outside) {
    const Dims& shape = in.shape();
    const int64_t inner = row_major_strides(shape)[axis];
    const int64_t period = inner * shape[axis];
    for (int64_t place : places) {
      T* to = in.mutable_data<T>() + place * inner;
      for (int64_t i = 0; i < in.size() / period; ++i) {
        std::fill_n(to + i * period, inner, static_cast<T>(extrapolation));
      }
    }
  }
  return in;
}

void resize_nearest(KernelContext& c, const ResizeRule& rule, const std::vector<ResizeAxis>& axes,
                    const Dims& shape) {
  const Tensor& in = c.input(0);
  IndexMaps maps;
  for (const ResizeAxis& axis : axes) maps.push_back(nearest_indices(rule, axis));
  Tensor fill = Tensor::zeros(in.dtype(), {});
  const float value = c.node().float_attribute("extrapolation_value", 0);
  if (in.dtype() == DType::kFloat) fill = Tensor::scalar(value);
  if (rule.coordinates == Coordinates::kTfCropAndResize && in.dtype() != DType::kFloat &&
      value != 0) {
    c.unsupported("an extrapolation_value of " + std::string(dtype_name(in.dtype())));
  }
  Tensor& out = c.output(0, in.dtype(), shape);
  copy_mapped(element_bytes(in.dtype()), in.bytes(), in.shape(), maps, fill.bytes(),
              out.mutable_bytes());
}

// Where the specification and ONNX Runtime disagree: on align_corners where a scale gives no whole
// extent, on a crop of an axis whose extent stays, and on antialias where scale and extent differ.
const char* ambiguity(const ResizeRule& rule, const ResizeAxis& axis) {
  const float extent = axis.scale * static_cast<float>(axis.in);
  if (rule.coordinates == Coordinates::kAlignCorners && rule.mode != ResizeMode::kNearest &&
      std::fabs(extent - static_cast<float>(axis.out)) > 1e-3f) {
    return "align_corners with a broken scale";
  }
  if (rule.antialias && axis.scale != 1 && axis.in == axis.out) {
    return "antialias with a scale that changes no extent";
  }
  const bool cropped = axis.roi_begin != 0 || axis.roi_end != 1;
  return cropped && axis.scale == 1 ? "a crop of an axis that keeps its extent" : nullptr;
}

void read_roi(const KernelContext& c, int opset, std::vector<ResizeAxis>& axes) {
  const auto roi = floats_of(c, places_of(c.node(), opset).roi);
  const auto order = resized_axes(c, static_cast<int64_t>(axes.size()), opset);
  if (!roi || roi->size() != 2 * order.size()) c.fail("roi must have two numbers an axis");
  for (size_t i = 0; i < order.size(); ++i) {
    axes[order[i]].roi_begin = (*roi)[i];
    axes[order[i]].roi_end = (*roi)[i + order.size()];
  }
}

void resize(KernelContext& c, const ResizeRule& rule, int opset) {
  const Tensor& in = c.input(0);
  auto axes = resize_axes(c, in.shape(), opset);
  if (!axes) c.fail("neither scales nor sizes are given");
  if (rule.coordinates == Coordinates::kTfCropAndResize) read_roi(c, opset, *axes);
  Dims shape;
  bool empty = false;
  for (const ResizeAxis& axis : *axes) {
    shape.push_back(axis.out);
    empty = empty || axis.out == 0;
    if (axis.in == 0 && axis.out > 0) c.fail("an empty axis cannot grow");
    if (const char* what = ambiguity(rule, axis)) c.unsupported(what);
  }
  if (empty) {
    c.output(0, in.dtype(), shape);
    return;
  }
  element_count(shape);
  if (rule.mode == ResizeMode::kNearest) return resize_nearest(c, rule, *axes, shape);
  const float extrapolation = c.node().float_attribute("extrapolation_value", 0);
  if (in.dtype() == DType::kFloat) {
    return c.set_output(0, interpolate<float>(in, rule, *axes, extrapolation));
  }
  if (in.dtype() == DType::kDouble) {
    return c.set_output(0, interpolate<double>(in, rule, *axes, extrapolation));
  }
  c.unsupported("interpolation of " + std::string(dtype_name(in.dtype())));
}

Kernel resize_kernel(const Node& node, int opset) {
  return
      [rule = read_resize_rule(node, opset), opset](KernelContext& c) { resize(c, rule, opset); };
}

}  // namespace

std::span<const OpRow> resize_ops() {
  static constexpr OpRow kRows[] = {
      {"", "Resize", 10, infer_resize, resize_kernel},
      {"", "Upsample", 7, infer_resize, resize_kernel},
  };
  return kRows;
}

}  // namespace dwindle
