// Arguments that operators take in more than one way, and shape arithmetic that many infer by.
// Each template works on an InferContext and on a KernelContext alike.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "core/ops/op.h"

namespace dwindle {

// The integers of input i: those of the tensor while it runs, those inferred before. None where the
// input is omitted or, in inference, not known.
inline std::optional<std::vector<int64_t>> integers_of(const KernelContext& c, size_t i) {
  return c.has_input(i) ? std::optional(to_int64s(c.input(i))) : std::nullopt;
}
inline std::optional<std::vector<int64_t>> integers_of(const InferContext& c, size_t i) {
  return c.integers(i);
}

inline bool has_argument(const KernelContext& c, size_t i) { return c.has_input(i); }
inline bool has_argument(const InferContext& c, size_t i) { return c.has_input(i); }

// Axes in [-rank, rank) as sorted ones in [0, rank). Raises BadModel where one is out of range or
// given twice.
template <typename Context>
std::vector<int64_t> normalize_axes(const Context& c, std::vector<int64_t> axes, int64_t rank) {
  for (int64_t& axis : axes) axis = c.normalize_axis(axis, rank);
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) c.fail("an axis is given twice");
  return axes;
}

inline Dim to_dim(const Element& element) {
  if (!element.exact) return Dim::named(element.symbol);
  return *element.exact < 0 ? Dim() : Dim(*element.exact);
}
inline Element to_element(const Dim& dim) {
  return dim.known() ? Element{dim.extent, ""} : Element{std::nullopt, dim.symbol};
}

// The shape that the integers of input i spell out, as far as known: of known rank where only their
// number is known.
inline std::optional<Shape> shape_from_input(const InferContext& c, size_t i) {
  if (const auto elements = c.elements(i)) {
    Shape shape;
    for (const Element& element : *elements) shape.push_back(to_dim(element));
    return shape;
  }
  const auto dims = c.dims(i);
  // A file may claim any length; no tensor has so many axes.
  if (!dims || dims->size() != 1 || (*dims)[0] > 64) return std::nullopt;
  return Shape(static_cast<size_t>((*dims)[0]));
}

// The elements of input i where its number of elements is known, unknown ones unnamed.
inline std::optional<Elements> elements_or_unknown(const InferContext& c, size_t i) {
  if (auto elements = c.elements(i)) return elements;
  const auto dims = c.dims(i);
  if (!dims || dims->size() > 1) return std::nullopt;
  const int64_t count = dims->empty() ? 1 : (*dims)[0];
  if (count > 64) return std::nullopt;
  return Elements(static_cast<size_t>(count));
}

}  // namespace dwindle
