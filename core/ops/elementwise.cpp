#include "core/ops/elementwise.h"

namespace dwindle {

void infer_same(InferContext& c) { c.set_output(0, c.dtype(0), c.shape(0)); }

void infer_predicate(InferContext& c) { c.set_output(0, DType::kBool, c.shape(0)); }

std::optional<Shape> infer_broadcast(const InferContext& c) {
  std::optional<Shape> shape;
  for (size_t i = 0; i < c.node().num_inputs(); ++i) {
    if (!c.shape(i)) return std::nullopt;
    shape = shape ? broadcast_shapes(c, *shape, *c.shape(i)) : *c.shape(i);
  }
  return shape;
}

void infer_broadcast_same(InferContext& c) { c.set_output(0, c.dtype(0), infer_broadcast(c)); }

void infer_elements(InferContext& c, ElementFunction function) {
  if (!is_integer(c.dtype(0)) && c.dtype(0) != DType::kBool) return;
  if (c.rank(0).value_or(2) > 1 || c.rank(1).value_or(2) > 1) return;
  const auto a = c.elements(0);
  const auto b = c.elements(1);
  if (!a || !b || (a->size() != b->size() && a->size() != 1 && b->size() != 1)) return;
  const size_t count = a->size() == 1 ? b->size() : a->size();
  Elements out;
  for (size_t i = 0; i < count; ++i) {
    out.push_back(function((*a)[a->size() == 1 ? 0 : i], (*b)[b->size() == 1 ? 0 : i]));
  }
  c.set_elements(0, std::move(out));
}

}  // namespace dwindle
