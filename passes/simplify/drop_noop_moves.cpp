// drop-noop-moves: drops Slice, Pad, Expand, Tile, Concat and Split that give back the whole
// tensor.
//
// Such nodes are what is left of a model written for any size and exported for one.
//
// Does nothing where the shape or the numbers that say what is moved are not known.
#include <algorithm>
#include <cstdint>

#include "passes/simplify/rewrite.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

using Integers = std::vector<int64_t>;

bool all(const Integers& values, int64_t wanted) {
  return std::all_of(values.begin(), values.end(), [&](int64_t v) { return v == wanted; });
}

bool slices_all(const Node& node, int opset) {
  const auto starts = integers_of(node, opset, 9, "starts", 1);
  const auto ends = integers_of(node, opset, 9, "ends", 2);
  const auto steps = opset < 10 ? Integers() : integers_of(node, opset, 9, "steps", 4);
  if (!steps || !all(*steps, 1)) return false;
  if (same_shape(*node.input(0), *node.output())) return true;
  // From the start to beyond any end.
  return starts && ends && all(*starts, 0) &&
         std::all_of(ends->begin(), ends->end(), [](int64_t end) { return end >= INT32_MAX; });
}

bool is_noop(const Model& model, const Node& node) {
  const int opset = opset_or_zero(model, node);
  const Value &input = *node.input(0), &output = *node.output();
  if (is_op(model, node, "Slice")) return slices_all(node, opset);
  if (is_op(model, node, "Pad", 2)) {
    const auto pads = integers_of(node, opset, 10, "pads", 1);
    return pads && !pads->empty() && all(*pads, 0);
  }
  if (is_op(model, node, "Expand", 8)) return same_shape(input, output);
  if (is_op(model, node, "Tile", 6)) {
    const auto repeats = constant_integers(node.input(1));
    return repeats && all(*repeats, 1);
  }
  if (is_op(model, node, "Concat")) return node.num_inputs() == 1;
  if (is_op(model, node, "Split")) return node.num_outputs() == 1 && same_shape(input, output);
  return false;
}

struct DropNoopMoves : Pass {
  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    int64_t& dropped = result.counts["dropped"];
    for_each_node(*model.graph, [&](Node& node) {
      if (node.input(0) == nullptr || node.output() == nullptr || !is_noop(model, node)) return;
      if (!bypass(*node.output(), *node.input(0))) return;
      node.graph()->erase(&node);
      ++dropped;
    });
    result.changed = dropped > 0;
    return result;
  }
};

}  // namespace

std::unique_ptr<Pass> make_drop_noop_moves(const Options&) {
  return std::make_unique<DropNoopMoves>();
}

}  // namespace dwindle::passes
