// Ops that join, cut and repeat tensors: Concat, Split, Expand, Tile.
#include <algorithm>

#include "core/ops/args.h"
#include "core/ops/families.h"
#include "core/ops/move.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

// ---- Concat ------------------------------------------------------------------------------------

void infer_concat(InferContext& c) {
  const size_t count = c.node().num_inputs();
  DType dtype = DType::kUndefined;
  std::optional<Shape> out;
  bool known = count > 0;
  Elements elements;
  bool elements_known = true;
  for (size_t i = 0; i < count; ++i) {
    if (c.dtype(i) != DType::kUndefined) dtype = c.dtype(i);
    const auto values = c.rank(i) == 1 ? elements_or_unknown(c, i) : std::nullopt;
    elements_known = elements_known && values;
    if (values) elements.insert(elements.end(), values->begin(), values->end());
    const auto& shape = c.shape(i);
    if (!shape) {
      known = false;
      continue;
    }
    const auto rank = static_cast<int64_t>(shape->size());
    const auto axis = c.normalize_axis(c.node().int_attribute("axis", 1), rank);
    if (!out) {
      out = *shape;
      continue;
    }
    if (out->size() != shape->size()) c.fail("the inputs differ in rank");
    for (int64_t k = 0; k < rank; ++k) {
      Dim& to = (*out)[static_cast<size_t>(k)];
      const Dim& from = (*shape)[static_cast<size_t>(k)];
      if (k == axis) {
        to = to.known() && from.known() ? Dim(to.extent + from.extent) : Dim();
      } else if (to.known() && from.known() && to.extent != from.extent) {
        c.fail("the inputs differ along axis " + std::to_string(k));
      } else if (!to.known() && (from.known() || to.symbol.empty())) {
        to = from;
      }
    }
  }
  if (!known && out) {
    const auto rank = static_cast<int64_t>(out->size());
    (*out)[static_cast<size_t>(c.normalize_axis(c.node().int_attribute("axis", 1), rank))] = {};
  }
  if (elements_known && count > 0 && is_integer(dtype)) c.set_elements(0, std::move(elements));
  c.set_output(0, dtype, std::move(out));
}

void concat(KernelContext& c) {
  if (c.num_inputs() == 0) c.fail("there are no inputs");
  const Tensor& first = c.input(0);
  const auto axis =
      static_cast<size_t>(c.normalize_axis(c.node().int_attribute("axis", 1), first.rank()));
  Dims shape = first.shape();
  for (size_t i = 1; i < c.num_inputs(); ++i) {
    const Tensor& in = c.input(i);
    Dims expected = in.shape();
    if (expected.size() != shape.size()) c.fail("the inputs differ in rank");
    const int64_t total = shape[axis];
    expected[axis] = total;
    if (expected != shape) c.fail("the inputs differ in shape outside the axis");
    if (in.dtype() != first.dtype()) c.fail("the inputs differ in dtype");
    shape[axis] = total + in.shape()[axis];
  }
  Tensor& out = c.output(0, first.dtype(), shape);
  const size_t width = element_bytes(first.dtype());
  const Dims strides = row_major_strides(shape);
  std::byte* to = out.mutable_bytes();
  for (size_t i = 0; i < c.num_inputs(); ++i) {
    const Tensor& in = c.input(i);
    copy_strided({width, in.shape(), in.bytes(), row_major_strides(in.shape()), to, strides});
    to += static_cast<size_t>(in.shape()[axis] * strides[axis]) * width;
  }
}

Kernel concat_kernel(const Node&, int) { return any_dtype(concat, ~0u); }

// ---- Split -------------------------------------------------------------------------------------

// Extents of the parts along the axis; none where they are not known yet.
template <typename Context>
std::optional<std::vector<int64_t>> split_parts(const Context& c, int64_t extent, int opset) {
  const auto count = static_cast<int64_t>(c.node().num_outputs());
  const bool as_input = opset >= 13;
  auto parts = as_input ? integers_of(c, 1) : c.node().ints_attribute("split");
  if (parts) {
    int64_t total = 0;
    for (int64_t part : *parts) {
      if (part < 0) c.fail("a part has a negative extent");
      total += part;
    }
    if (total != extent || static_cast<int64_t>(parts->size()) != count) {
      c.fail("the parts do not fit the input or the number of outputs");
    }
    return parts;
  }
  if (as_input && has_argument(c, 1)) return std::nullopt;
  if (count == 0) c.fail("there are no outputs");
  if (opset >= 18 && c.node().int_attribute("num_outputs", count) != count) {
    c.fail("num_outputs differs from the number of outputs");
  }
  if (opset < 18 && extent % count != 0) c.fail("the parts would not be equal");
  // The last part is the smaller one.
  const int64_t part = (extent + count - 1) / count;
  parts.emplace();
  for (int64_t i = 0; i < count; ++i) {
    parts->push_back(std::clamp<int64_t>(extent - i * part, 0, part));
  }
  return parts;
}

void infer_split(InferContext& c) {
  const auto& shape = c.shape(0);
  std::optional<std::vector<int64_t>> parts;
  size_t axis = 0;
  if (shape) {
    axis = static_cast<size_t>(
        c.normalize_axis(c.node().int_attribute("axis", 0), static_cast<int64_t>(shape->size())));
    const Dim& dim = (*shape)[axis];
    if (dim.known()) parts = split_parts(c, dim.extent, c.opset());
  }
  for (size_t i = 0; i < c.node().num_outputs(); ++i) {
    std::optional<Shape> out = shape;
    if (out) (*out)[axis] = parts ? Dim((*parts)[i]) : Dim();
    c.set_output(i, c.dtype(0), std::move(out));
  }
  const auto elements = c.elements(0);
  if (!elements || !parts) return;
  auto at = elements->begin();
  for (size_t i = 0; i < parts->size(); ++i) {
    c.set_elements(i, Elements(at, at + (*parts)[i]));
    at += (*parts)[i];
  }
}

Kernel split_kernel(const Node&, int opset) {
  return any_dtype(
      [opset](KernelContext& c) {
        const Tensor& in = c.input(0);
        const auto axis =
            static_cast<size_t>(c.normalize_axis(c.node().int_attribute("axis", 0), in.rank()));
        const auto parts = split_parts(c, in.shape()[axis], opset);
        const Dims strides = row_major_strides(in.shape());
        const size_t width = element_bytes(in.dtype());
        const std::byte* from = in.bytes();
        for (size_t i = 0; i < parts->size(); ++i) {
          Dims shape = in.shape();
          shape[axis] = (*parts)[i];
          if (c.wants_output(i)) {
            Tensor& out = c.output(i, in.dtype(), shape);
            copy_strided(
                {width, shape, from, strides, out.mutable_bytes(), row_major_strides(shape)});
          }
          from += static_cast<size_t>((*parts)[i] * strides[axis]) * width;
        }
      },
      1u << 0);
}

// ---- Expand, Tile ------------------------------------------------------------------------------

void infer_expand(InferContext& c) {
  const auto& shape = c.shape(0);
  const auto target = shape_from_input(c, 1);
  std::optional<Shape> out;
  if (shape && target) out = broadcast_shapes(c, *shape, *target);
  c.set_output(0, c.dtype(0), std::move(out));
}

Kernel expand_kernel(const Node&, int) {
  return any_dtype(
      [](KernelContext& c) {
        const Tensor& in = c.input(0);
        Dims out = to_int64s(c.input(1));
        if (out.size() < in.shape().size())
          out.insert(out.begin(), in.shape().size() - out.size(), 1);
        const size_t added = out.size() - in.shape().size();
        const Dims strides = row_major_strides(in.shape());
        Dims src_strides(out.size(), 0);
        for (size_t i = added; i < out.size(); ++i) {
          const int64_t extent = in.shape()[i - added];
          if (out[i] == 1) out[i] = extent;
          if (extent != 1 && extent != out[i]) {
            c.fail("shape " + to_string(in.shape()) + " does not expand to " + to_string(out));
          }
          if (extent != 1) src_strides[i] = strides[i - added];
        }
        Tensor& to = c.output(0, in.dtype(), out);
        copy_strided({element_bytes(in.dtype()), out, in.bytes(), std::move(src_strides),
                      to.mutable_bytes(), row_major_strides(out)});
      },
      1u << 0);
}

void infer_tile(InferContext& c) {
  const auto& shape = c.shape(0);
  if (!shape) return c.set_output(0, c.dtype(0));
  Shape out(shape->size());
  if (const auto repeats = c.integers(1)) {
    if (repeats->size() != shape->size()) c.fail("repeats must have one number an axis");
    for (size_t i = 0; i < out.size(); ++i) {
      const int64_t times = (*repeats)[i];
      int64_t extent = 0;
      if (times < 0) c.fail("repeats has a negative number");
      if (times == 1) out[i] = (*shape)[i];
      if (times != 1 && (*shape)[i].known() &&
          !__builtin_mul_overflow((*shape)[i].extent, times, &extent)) {
        out[i] = extent;
      }
    }
  }
  c.set_output(0, c.dtype(0), std::move(out));
}

Kernel tile_kernel(const Node&, int) {
  return any_dtype(
      [](KernelContext& c) {
        const Tensor& in = c.input(0);
        const std::vector<int64_t> repeats = to_int64s(c.input(1));
        if (repeats.size() != in.shape().size()) c.fail("repeats must have one number an axis");
        const Dims strides = row_major_strides(in.shape());
        Dims shape;
        StridedCopy copy;
        for (size_t i = 0; i < repeats.size(); ++i) {
          int64_t extent = 0;
          if (repeats[i] < 0 || __builtin_mul_overflow(in.shape()[i], repeats[i], &extent)) {
            c.fail("repeats has a number out of range");
          }
          shape.push_back(extent);
          copy.dims.insert(copy.dims.end(), {repeats[i], in.shape()[i]});
          copy.src_strides.insert(copy.src_strides.end(), {0, strides[i]});
        }
        Tensor& out = c.output(0, in.dtype(), shape);
        copy.width = element_bytes(in.dtype());
        copy.src = in.bytes();
        copy.dst = out.mutable_bytes();
        copy.dst_strides = row_major_strides(copy.dims);
        copy_strided(std::move(copy));
      },
      1u << 0);
}

}  // namespace

std::span<const OpRow> join_ops() {
  static constexpr OpRow kRows[] = {
      {"", "Concat", 4, infer_concat, concat_kernel, 0, kMovesData, kNative},
      {"", "Split", 2, infer_split, split_kernel, 0, kMovesData, kNative},
      {"", "Expand", 8, infer_expand, expand_kernel, 0, kMovesData, kNative},
      {"", "Tile", 6, infer_tile, tile_kernel, 0, kMovesData, kNative},
  };
  return kRows;
}

}  // namespace dwindle
