// Ops that give the same elements another shape: Reshape, Flatten, Squeeze, Unsqueeze.
#include <algorithm>

#include "core/ops/args.h"
#include "core/ops/families.h"

namespace dwindle {
namespace {

// ---- Reshape -----------------------------------------------------------------------------------

// The extent that -1 stands for: the input's elements over those of the other axes. Unknown extents
// cancel where both shapes name them alike.
Dim remaining_extent(const Shape& input, const Shape& output, size_t unknown) {
  int64_t total = 1, others = 1;
  std::vector<std::string> symbols;
  for (const Dim& dim : input) {
    if (!dim.known() && dim.symbol.empty()) return {};
    if (!dim.known()) symbols.push_back(dim.symbol);
    if (dim.known() && __builtin_mul_overflow(total, dim.extent, &total)) return {};
  }
  for (size_t i = 0; i < output.size(); ++i) {
    if (i == unknown) continue;
    if (output[i].known()) {
      if (__builtin_mul_overflow(others, output[i].extent, &others)) return {};
      continue;
    }
    auto it = std::find(symbols.begin(), symbols.end(), output[i].symbol);
    if (it == symbols.end()) return {};
    symbols.erase(it);
  }
  if (others == 0 || total % others != 0) return {};
  if (symbols.empty()) return Dim(total / others);
  return symbols.size() == 1 && total == others ? Dim::named(symbols[0]) : Dim();
}

void infer_reshape(InferContext& c) {
  const auto elements = c.elements(1);
  if (!elements) {
    c.set_output(0, c.dtype(0), shape_from_input(c, 1));
    return;
  }
  const bool allow_zero = c.opset() >= 14 && c.node().int_attribute("allowzero", 0) != 0;
  const auto& input = c.shape(0);
  Shape shape;
  std::optional<size_t> unknown;
  for (size_t i = 0; i < elements->size(); ++i) {
    const Element& element = (*elements)[i];
    if (element.exact == 0 && !allow_zero) {
      if (input && i >= input->size()) c.fail("shape has a 0 beyond the rank of the input");
      shape.push_back(input ? (*input)[i] : Dim());
    } else {
      if (element.exact && *element.exact < -1) c.fail("shape has a negative extent");
      if (element.exact == -1) {
        if (unknown) c.fail("shape has more than one -1");
        unknown = i;
      }
      shape.push_back(to_dim(element));
    }
  }
  if (unknown && input) shape[*unknown] = remaining_extent(*input, shape, *unknown);
  const auto from = c.dims(0);
  if (from && all_known(shape) && element_count(*from) != element_count(to_dims(shape))) {
    c.fail("cannot reshape " + to_string(*from) + " to " + to_string(shape));
  }
  if (const auto values = c.elements(0); values && shape.size() <= 1) c.set_elements(0, *values);
  c.set_output(0, c.dtype(0), std::move(shape));
}

Kernel reshape_kernel(const Node& node, int opset) {
  const bool allow_zero = opset >= 14 && node.int_attribute("allowzero", 0) != 0;
  return [allow_zero](KernelContext& c) {
    const Tensor& data = c.input(0);
    Dims shape = to_int64s(c.input(1));
    std::optional<size_t> unknown;
    Dims others;
    for (size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] == 0 && !allow_zero) {
        if (i >= data.shape().size()) c.fail("shape has a 0 beyond the rank of the input");
        shape[i] = data.shape()[i];
      }
      if (shape[i] == -1) {
        if (unknown) c.fail("shape has more than one -1");
        unknown = i;
      } else {
        others.push_back(shape[i]);
      }
    }
    if (unknown) {
      const int64_t count = element_count(others);
      if (count == 0 || data.size() % count != 0) {
        c.fail("cannot reshape " + to_string(data.shape()) + " to " + to_string(shape));
      }
      shape[*unknown] = data.size() / count;
    }
    c.set_output(0, data.reshaped(std::move(shape)));
  };
}

// ---- Flatten -----------------------------------------------------------------------------------

// Unlike other axes, this one may equal the rank.
template <typename Context>
int64_t flatten_axis(const Context& c, int64_t rank) {
  const int64_t axis = c.node().int_attribute("axis", 1);
  if (axis < -rank || axis > rank) c.fail("axis " + std::to_string(axis) + " is out of range");
  return axis < 0 ? axis + rank : axis;
}

Dim product(const Shape& shape, size_t begin, size_t end) {
  int64_t total = 1;
  std::optional<Dim> symbol;
  for (size_t i = begin; i < end; ++i) {
    if (!shape[i].known()) {
      if (symbol) return {};
      symbol = shape[i];
    } else if (__builtin_mul_overflow(total, shape[i].extent, &total)) {
      return {};
    }
  }
  if (!symbol) return Dim(total);
  return total == 1 ? *symbol : Dim();
}

void infer_flatten(InferContext& c) {
  const auto& shape = c.shape(0);
  if (!shape) return c.set_output(0, c.dtype(0), Shape(2));
  const auto axis = static_cast<size_t>(flatten_axis(c, static_cast<int64_t>(shape->size())));
  c.set_output(0, c.dtype(0),
               Shape{product(*shape, 0, axis), product(*shape, axis, shape->size())});
}

Kernel flatten_kernel(const Node&, int) {
  return [](KernelContext& c) {
    const Tensor& data = c.input(0);
    const Dims& dims = data.shape();
    const auto axis = flatten_axis(c, data.rank());
    c.set_output(0, data.reshaped({element_count(Dims(dims.begin(), dims.begin() + axis)),
                                   element_count(Dims(dims.begin() + axis, dims.end()))}));
  };
}

// ---- Squeeze, Unsqueeze ------------------------------------------------------------------------

// Axes are an attribute up to opset 12, input 1 from 13 on. None: omitted, or not known yet.
template <typename Context>
std::optional<std::vector<int64_t>> given_axes(const Context& c, int opset) {
  return opset < 13 ? c.node().ints_attribute("axes") : integers_of(c, 1);
}

void infer_squeeze(InferContext& c) {
  if (const auto elements = c.elements(0); elements && elements->size() == 1) {
    c.set_elements(0, *elements);
  }
  const auto& shape = c.shape(0);
  const auto axes = given_axes(c, c.opset());
  const bool all = !axes && (c.opset() < 13 || !c.has_input(1));
  if (!shape || (!axes && !all) || (all && !all_known(*shape))) {
    return c.set_output(0, c.dtype(0));
  }
  std::vector<int64_t> dropped;
  if (axes) dropped = normalize_axes(c, *axes, static_cast<int64_t>(shape->size()));
  Shape out;
  for (size_t i = 0; i < shape->size(); ++i) {
    const Dim& dim = (*shape)[i];
    const bool drop =
        all ? dim.extent == 1
            : std::binary_search(dropped.begin(), dropped.end(), static_cast<int64_t>(i));
    if (drop && dim.known() && dim.extent != 1) c.fail("a squeezed axis has more than one element");
    if (!drop) out.push_back(dim);
  }
  c.set_output(0, c.dtype(0), std::move(out));
}

Kernel squeeze_kernel(const Node&, int opset) {
  return [opset](KernelContext& c) {
    const Tensor& data = c.input(0);
    const auto axes = given_axes(c, opset);
    std::vector<int64_t> dropped;
    if (axes) dropped = normalize_axes(c, *axes, data.rank());
    Dims shape;
    for (size_t i = 0; i < data.shape().size(); ++i) {
      const int64_t extent = data.shape()[i];
      const bool drop =
          axes ? std::binary_search(dropped.begin(), dropped.end(), static_cast<int64_t>(i))
               : extent == 1;
      if (drop && extent != 1)
        c.fail("a squeezed axis has " + std::to_string(extent) + " elements");
      if (!drop) shape.push_back(extent);
    }
    c.set_output(0, data.reshaped(std::move(shape)));
  };
}

// `extents` with 1 at each of `axes`, which count in the result.
template <typename Context, typename List>
List unsqueezed(const Context& c, const List& extents, const std::vector<int64_t>& given) {
  const auto rank = static_cast<int64_t>(extents.size() + given.size());
  List out = extents;
  for (int64_t axis : normalize_axes(c, given, rank)) out.insert(out.begin() + axis, 1);
  return out;
}

void infer_unsqueeze(InferContext& c) {
  const auto& shape = c.shape(0);
  const auto axes = given_axes(c, c.opset());
  if (const auto elements = c.elements(0); elements && shape && shape->empty()) {
    c.set_elements(0, *elements);
  }
  if (!shape || !axes) return c.set_output(0, c.dtype(0));
  c.set_output(0, c.dtype(0), unsqueezed(c, *shape, *axes));
}

Kernel unsqueeze_kernel(const Node&, int opset) {
  return [opset](KernelContext& c) {
    const auto axes = given_axes(c, opset);
    if (!axes) c.fail("axes are missing");
    c.set_output(0, c.input(0).reshaped(unsqueezed(c, c.input(0).shape(), *axes)));
  };
}

}  // namespace

std::span<const OpRow> reshape_ops() {
  static constexpr OpRow kRows[] = {
      {"", "Reshape", 5, infer_reshape, reshape_kernel, 0, kMovesData, kNative},
      {"", "Flatten", 1, infer_flatten, flatten_kernel, 0, kMovesData, kNative},
      {"", "Squeeze", 1, infer_squeeze, squeeze_kernel, 0, kMovesData, kNative},
      {"", "Unsqueeze", 1, infer_unsqueeze, unsqueeze_kernel, 0, kMovesData, kNative},
  };
  return kRows;
}

}  // namespace dwindle
