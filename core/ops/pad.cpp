// Pad: more elements at the ends of axes, or fewer where a pad is negative.
#include "core/ops/pad.h"

#include <algorithm>

#include "core/ops/args.h"
#include "core/ops/families.h"
#include "core/ops/move.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

enum class PadMode { kConstant, kReflect, kEdge, kWrap };

PadMode pad_mode(const Node& node) {
  const std::string mode = node.string_attribute("mode", "constant");
  if (mode == "constant") return PadMode::kConstant;
  if (mode == "reflect") return PadMode::kReflect;
  if (mode == "edge") return PadMode::kEdge;
  if (mode == "wrap") return PadMode::kWrap;
  throw BadModel("Pad node '" + node.name + "': mode '" + mode + "' is not known");
}

// What is added in front of and behind each axis: attributes up to opset 10, inputs from 11 on,
// with axes from 18 on. None where not known yet.
struct Pads {
  std::vector<int64_t> begin, end;
};

template <typename Context>
std::optional<Pads> pads_of(const Context& c, int64_t rank, int opset) {
  const auto given = opset < 11 ? c.node().ints_attribute("pads") : integers_of(c, 1);
  if (!given) return std::nullopt;
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < rank; ++i) axes.push_back(i);
  if (opset >= 18 && has_argument(c, 3)) {
    const auto some = integers_of(c, 3);
    if (!some) return std::nullopt;
    axes = *some;
    normalize_axes(c, axes, rank);
  }
  if (given->size() != 2 * axes.size()) c.fail("pads must have two numbers an axis");
  Pads pads{std::vector<int64_t>(static_cast<size_t>(rank), 0),
            std::vector<int64_t>(static_cast<size_t>(rank), 0)};
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(c.normalize_axis(axes[i], rank));
    pads.begin[axis] = (*given)[i];
    pads.end[axis] = (*given)[i + axes.size()];
  }
  return pads;
}

template <typename Context>
int64_t padded_extent(const Context& c, int64_t extent, int64_t begin, int64_t end) {
  constexpr int64_t kMost = int64_t{1} << 40;
  if (begin > kMost || end > kMost || begin < -extent || end < -extent ||
      extent + begin + end < 0) {
    c.fail("pads " + std::to_string(begin) + " and " + std::to_string(end) +
           " do not fit an axis of " + std::to_string(extent));
  }
  return extent + begin + end;
}

void infer_pad(InferContext& c) {
  const auto& shape = c.shape(0);
  if (!shape) return c.set_output(0, c.dtype(0));
  Shape out(shape->size());
  const auto pads = pads_of(c, static_cast<int64_t>(shape->size()), c.opset());
  for (size_t i = 0; pads && i < out.size(); ++i) {
    if ((*shape)[i].known()) {
      out[i] = padded_extent(c, (*shape)[i].extent, pads->begin[i], pads->end[i]);
    } else if (pads->begin[i] == 0 && pads->end[i] == 0) {
      out[i] = (*shape)[i];
    }
  }
  c.set_output(0, c.dtype(0), std::move(out));
}

// Where each place of a padded axis takes its element from. Negative pads cut first, so that the
// other modes continue what is left.
std::vector<int64_t> pad_map(const KernelContext& c, PadMode mode, int64_t extent, int64_t begin,
                             int64_t end) {
  std::vector<int64_t> map(static_cast<size_t>(padded_extent(c, extent, begin, end)));
  const int64_t cut = std::max<int64_t>(0, -begin);
  const int64_t kept = extent - cut - std::max<int64_t>(0, -end);
  const int64_t added = std::max<int64_t>(0, begin);
  const bool extends = begin > 0 || end > 0;
  if (mode != PadMode::kConstant && extends && kept <= 0) c.fail("there is nothing to continue");
  for (size_t i = 0; i < map.size(); ++i) {
    int64_t at = static_cast<int64_t>(i) - added;
    if (at < 0 || at >= kept) {
      const int64_t period = mode == PadMode::kWrap ? kept : std::max<int64_t>(1, 2 * (kept - 1));
      const int64_t phase = mode == PadMode::kConstant ? 0 : (at % period + period) % period;
      if (mode == PadMode::kConstant) {
        map[i] = -1;
        continue;
      }
      at = mode == PadMode::kEdge   ? std::clamp<int64_t>(at, 0, kept - 1)
           : mode == PadMode::kWrap ? phase
                                    : std::min(phase, period - phase);
      if (kept == 1) at = 0;
    }
    map[i] = at + cut;
  }
  return map;
}

// The fill as one element of `dtype`.
Tensor fill_element(KernelContext& c, DType dtype, int opset) {
  if (opset >= 11) {
    if (!c.has_input(2)) return Tensor::zeros(dtype, {});
    if (c.input(2).dtype() != dtype || c.input(2).size() != 1) {
      c.fail("constant_value must be one element of the dtype of the input");
    }
    return c.input(2);
  }
  const float value = c.node().float_attribute("value", 0);
  switch (dtype) {
    case DType::kFloat:
      return Tensor::scalar(value);
    case DType::kDouble:
      return Tensor::of<double>({}, std::vector<double>{value});
    case DType::kFloat16:
    case DType::kBfloat16:
      return dtype == DType::kFloat16
                 ? Tensor::of<Float16>({}, std::vector<Float16>{to_float16(value)})
                 : Tensor::of<Bfloat16>({}, std::vector<Bfloat16>{to_bfloat16(value)});
    default:
      if (value != 0) c.unsupported("a fill of " + std::string(dtype_name(dtype)));
      return Tensor::zeros(dtype, {});
  }
}

Kernel pad_kernel(const Node& node, int opset) {
  return any_dtype(
      [opset, mode = pad_mode(node)](KernelContext& c) {
        const Tensor& in = c.input(0);
        const auto pads = pads_of(c, in.rank(), opset);
        if (!pads) c.fail("pads are missing");
        const Tensor fill = fill_element(c, in.dtype(), opset);
        Dims shape;
        for (size_t i = 0; i < in.shape().size(); ++i) {
          shape.push_back(padded_extent(c, in.shape()[i], pads->begin[i], pads->end[i]));
        }
        Tensor& out = c.output(0, in.dtype(), shape);
        IndexMaps maps;
        for (size_t i = 0; i < shape.size(); ++i) {
          maps.push_back(pad_map(c, mode, in.shape()[i], pads->begin[i], pads->end[i]));
        }
        copy_mapped(element_bytes(in.dtype()), in.bytes(), in.shape(), maps, fill.bytes(),
                    out.mutable_bytes());
      },
      1u << 0 | 1u << 2);
}

}  // namespace

std::optional<SpatialPadding> spatial_padding(const Node& pad, int opset, size_t rank,
                                              const ConstantOf& constant) {
  if (!pad.is("Pad") || opset < 2 || rank < 3) return std::nullopt;
  if (pad.string_attribute("mode", "constant") != "constant") return std::nullopt;
  // Inputs that are given must be constants.
  const auto argument = [&](size_t i) -> const Tensor* {
    return pad.input(i) == nullptr ? nullptr : constant(pad.input(i));
  };
  const Tensor *amounts = argument(1), *value = argument(2), *some_axes = argument(3);
  std::optional<std::vector<int64_t>> pads = pad.ints_attribute("pads");
  SpatialPadding padding;
  if (opset < 11) {
    padding.value = pad.float_attribute("value", 0);
  } else {
    pads = amounts == nullptr ? std::nullopt : std::optional(to_int64s(*amounts));
    if ((value == nullptr) != (pad.input(2) == nullptr)) return std::nullopt;
    if ((some_axes == nullptr) != (pad.input(3) == nullptr)) return std::nullopt;
    if (value != nullptr && (value->size() != 1 || !is_floating(value->dtype()))) {
      return std::nullopt;
    }
    if (value != nullptr) padding.value = to_floats(*value)[0];
  }
  std::vector<int64_t> axes(rank);
  for (size_t i = 0; i < rank; ++i) axes[i] = static_cast<int64_t>(i);
  if (some_axes != nullptr) axes = to_int64s(*some_axes);
  if (!pads || pads->size() != axes.size() * 2) return std::nullopt;

  padding.begin.resize(rank - 2);
  padding.end.resize(rank - 2);
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t before = (*pads)[i], after = (*pads)[i + axes.size()];
    const auto axis =
        static_cast<size_t>(axes[i] < 0 ? axes[i] + static_cast<int64_t>(rank) : axes[i]);
    if (axis >= rank || before < 0 || after < 0) return std::nullopt;
    if (axis < 2 && (before != 0 || after != 0)) return std::nullopt;
    if (axis < 2) continue;
    padding.begin[axis - 2] = before;
    padding.end[axis - 2] = after;
  }
  return padding;
}

std::span<const OpRow> pad_ops() {
  static constexpr OpRow kRows[] = {
      {"", "Pad", 2, infer_pad, pad_kernel, 0, kNoTraits, kNative},
  };
  return kRows;
}

}  // namespace dwindle
