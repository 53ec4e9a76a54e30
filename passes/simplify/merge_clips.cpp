// merge-clips: merges Relu and Clip in a row into one.
//
// Relu is Clip from 0 up. clip(clip(x, a, b), c, d) is clip(x, max(a, c), min(b, d)) where c <= b
// and a <= b; a Relu behind a Clip that starts at 0 or above does nothing, and so on.
//
// Does nothing where bounds are not constant or cross, where the value between has other users, and
// for float16 and integers, whose bounds must keep their dtype exactly.
#include <algorithm>
#include <cmath>
#include <limits>

#include "passes/simplify/rewrite.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

struct Range {
  float low = -INFINITY, high = INFINITY;
  bool operator==(const Range&) const = default;
};

// One bound of a Clip from opset 11 on. False where it is there but not constant.
bool read_bound(const Value* value, float& bound) {
  if (value == nullptr) return true;
  const Tensor* tensor = value->constant();
  if (tensor == nullptr || tensor->dtype() != DType::kFloat || tensor->size() != 1) return false;
  bound = tensor->data<float>()[0];
  return !std::isnan(bound);
}

std::optional<Range> range_of(const Model& model, const Node& node) {
  if (is_op(model, node, "Relu")) return Range{0, INFINITY};
  if (!is_op(model, node, "Clip", 6)) return std::nullopt;
  Range range;
  if (opset_or_zero(model, node) < 11) {
    range.low = node.float_attribute("min", -INFINITY);
    range.high = node.float_attribute("max", INFINITY);
  } else if (!read_bound(node.input(1), range.low) || !read_bound(node.input(2), range.high)) {
    return std::nullopt;
  }
  return range.low <= range.high ? std::optional(range) : std::nullopt;
}

// Makes `node`, a Relu or Clip, clip to `range`.
void set_range(Model& model, Node& node, const Range& range) {
  if (range == Range{0, INFINITY}) {
    node.op_type = "Relu";
    node.resize_inputs(1);
    node.remove_attribute("min");
    node.remove_attribute("max");
    return;
  }
  node.op_type = "Clip";
  if (opset_or_zero(model, node) < 11) {
    node.set_attribute("min", std::max(range.low, std::numeric_limits<float>::lowest()));
    node.set_attribute("max", std::min(range.high, std::numeric_limits<float>::max()));
    return;
  }
  node.resize_inputs(1);
  auto bound = [&](const char* name, float value) {
    return add_constant(model, *node.graph(), name, Tensor::scalar(value));
  };
  if (range.low > -INFINITY) node.set_input(1, bound("clip_min", range.low));
  if (range.high < INFINITY) node.set_input(2, bound("clip_max", range.high));
}

bool merge(Model& model, Node& second) {
  Node* first = private_producer(second, 0);
  const auto after = range_of(model, second);
  if (first == nullptr || !after || first->input(0) == nullptr) return false;
  const auto before = range_of(model, *first);
  if (!before || second.output()->type.dtype != DType::kFloat) return false;
  if (after->low > before->high || after->high < before->low) return false;
  const Range both{std::max(before->low, after->low), std::min(before->high, after->high)};
  if (!bypass(*second.output(), *first->output())) return false;
  if (!(both == *before)) set_range(model, *first, both);
  second.graph()->erase(&second);
  return true;
}

struct MergeClips : Pass {
  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    int64_t& merged = result.counts["merged"];
    for_each_node(*model.graph, [&](Node& node) {
      if (merge(model, node)) ++merged;
    });
    result.changed = merged > 0;
    return result;
  }
};

}  // namespace

std::unique_ptr<Pass> make_merge_clips(const Options&) { return std::make_unique<MergeClips>(); }

}  // namespace dwindle::passes
