#include "core/ops/clamp.h"

#include <cmath>
#include <limits>

namespace dwindle {
namespace {

// An optional input of Clip. False where it is there but no constant float.
bool read_bound(const Value* value, float& bound) {
  if (value == nullptr) return true;
  const Tensor* tensor = value->constant();
  if (tensor == nullptr || tensor->dtype() != DType::kFloat || tensor->size() != 1) return false;
  bound = tensor->data<float>()[0];
  return true;
}

}  // namespace

std::optional<ClampBounds> clamp_bounds(const Node& node, int opset) {
  using Limits = std::numeric_limits<float>;
  if (node.is("Relu")) return ClampBounds{0, Limits::infinity()};
  if (!node.is("Clip") || opset < 6) return std::nullopt;
  ClampBounds bounds{Limits::lowest(), Limits::max()};
  if (opset < 11) {
    bounds.min = node.float_attribute("min", bounds.min);
    bounds.max = node.float_attribute("max", bounds.max);
  } else if (!read_bound(node.input(1), bounds.min) || !read_bound(node.input(2), bounds.max)) {
    return std::nullopt;
  }
  if (std::isnan(bounds.min) || std::isnan(bounds.max)) return std::nullopt;
  return bounds;
}

}  // namespace dwindle
