// drop-noop-arithmetic: drops Add and Sub of 0, Mul and Div by 1, and Pow to the 1.
//
// (The sum of -0 and 0 is 0: that a zero may keep its sign is the one difference.)
//
// Does nothing where the constant is not the same throughout or might make the shape larger.
#include <algorithm>

#include "passes/simplify/affine.h"
#include "passes/simplify/rewrite.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

bool holds_only(const Tensor& tensor, double wanted) {
  if (tensor.size() == 0) return false;
  if (is_integer(tensor.dtype())) {
    const auto values = to_int64s(tensor);
    return std::all_of(values.begin(), values.end(),
                       [&](int64_t v) { return v == static_cast<int64_t>(wanted); });
  }
  const auto values = to_doubles(tensor);
  return values &&
         std::all_of(values->begin(), values->end(), [&](double v) { return v == wanted; });
}

// The element of input `constant` that leaves the other input as it is.
std::optional<double> neutral_element(const Model& model, const Node& node, size_t constant) {
  if (is_op(model, node, "Add", 7)) return 0;
  if (is_op(model, node, "Mul", 7)) return 1;
  if (constant == 0) return std::nullopt;
  if (is_op(model, node, "Sub", 7)) return 0;
  if (is_op(model, node, "Div", 7) || is_op(model, node, "Pow", 7)) return 1;
  return std::nullopt;
}

bool drop(const Model& model, Node& node, size_t constant) {
  const auto neutral = neutral_element(model, node, constant);
  const Value* value = node.input(constant);
  Value* other = node.input(1 - constant);
  if (!neutral || value == nullptr || other == nullptr || value->constant() == nullptr)
    return false;
  if (other->type.dtype != node.output()->type.dtype) return false;
  // One element on no more axes than the other has cannot broadcast it, whatever its extents.
  const Tensor& tensor = *value->constant();
  const bool small = tensor.size() == 1 && other->type.shape &&
                     tensor.rank() <= static_cast<int>(other->type.shape->size());
  if (!small && !same_shape(*other, *node.output())) return false;
  if (!holds_only(tensor, *neutral) || !bypass(*node.output(), *other)) return false;
  node.graph()->erase(&node);
  return true;
}

struct DropNoopArithmetic : Pass {
  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    int64_t& dropped = result.counts["dropped"];
    for_each_node(*model.graph, [&](Node& node) {
      if (node.output() != nullptr && (drop(model, node, 1) || drop(model, node, 0))) ++dropped;
    });
    result.changed = dropped > 0;
    return result;
  }
};

}  // namespace

std::unique_ptr<Pass> make_drop_noop_arithmetic(const Options&) {
  return std::make_unique<DropNoopArithmetic>();
}

}  // namespace dwindle::passes
