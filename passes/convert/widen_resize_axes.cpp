// widen-resize-axes: gives a Resize of some axes (its attribute `axes`) the scales or sizes of all:
// 1 along the others, or what extent they have. Nested graphs' too.
//
// Beside int8 convolutions, ONNX Runtime on CPU moves channels to the end, and a Resize in between
// with them; it then takes the numbers of some axes for those of all, and refuses the model.
//
// Source: the specification of Resize-18 and -19 (ONNX): an axis that is not listed keeps its
// extent.
//
// Does nothing for unknown ranks, for tf_crop_and_resize, whose regions lie along the axes too, and
// where keep_aspect_ratio_policy chooses among them. Bodies of local functions stay as they are
// (inline-functions comes first).
#include <algorithm>

#include "core/ops/infer.h"
#include "passes/convert/node_writer.h"
#include "passes/convert/passes.h"
#include "passes/simplify/rewrite.h"

namespace dwindle::passes {
namespace {

constexpr size_t kScales = 2, kSizes = 3;

bool can_widen(const Node& node) {
  const Value* input = node.input(0);
  return input != nullptr && input->type.shape &&
         (node.input(kScales) == nullptr) != (node.input(kSizes) == nullptr) &&
         node.string_attribute("coordinate_transformation_mode", "half_pixel") !=
             "tf_crop_and_resize" &&
         node.string_attribute("keep_aspect_ratio_policy", "stretch") == "stretch";
}

// The axes from 0 on; empty where they are no axes of such a rank, or the same twice.
std::vector<int64_t> listed_axes(const Node& node, int64_t rank) {
  std::vector<int64_t> axes = *node.ints_attribute("axes");
  for (int64_t& axis : axes) {
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank || std::ranges::count(axes, axis) > 1) return {};
  }
  return axes;
}

bool widen(Model& model, Node& node) {
  const Shape& shape = *node.input(0)->type.shape;
  const std::vector<int64_t> axes = listed_axes(node, static_cast<int64_t>(shape.size()));
  if (axes.empty()) return false;
  NodeWriter writer(model, node);
  const size_t which = node.input(kScales) != nullptr ? kScales : kSizes;
  // What is listed and what is not, in a row, and where each axis finds its own there.
  std::vector<Value*> parts = {node.input(which)};
  std::vector<int64_t> places;
  for (size_t i = 0; i < shape.size(); ++i) {
    const auto axis = static_cast<int64_t>(i);
    const auto listed = std::ranges::find(axes, axis);
    if (listed != axes.end()) {
      places.push_back(listed - axes.begin());
      continue;
    }
    places.push_back(static_cast<int64_t>(axes.size() + parts.size()) - 1);
    const std::string role = "axis_" + std::to_string(axis);
    parts.push_back(
        which == kScales
            ? writer.constant(role, Tensor::of<float>({1}, {1.0f}))
            : writer.vector_of(role, writer.extent(role, {node.input(0), axis, shape[i]})));
  }
  NodeWriter::Attributes first_axis;
  first_axis.emplace_back("axis", int64_t{0});
  Value* row = writer.add("Concat", "listed_first", parts, std::move(first_axis));
  node.set_input(which, writer.add("Gather", which == kScales ? "scales" : "sizes",
                                   {row, writer.integers("places", std::move(places))}));
  node.remove_attribute("axes");
  return true;
}

class WidenResizeAxes : public Pass {
 public:
  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    std::vector<Node*> found;
    for_each_node(*model.graph, [&](Node& node) {
      if (node.is("Resize") && node.ints_attribute("axes")) found.push_back(&node);
    });
    if (found.empty()) return result;
    infer_shapes(model);
    for (Node* node : found) {
      if (can_widen(*node) && widen(model, *node)) ++result.counts["resizes"];
    }
    result.changed = !result.counts.empty();
    if (result.changed) infer_shapes(model);
    return result;
  }
};

}  // namespace

PassRow widen_resize_axes_row() {
  return {
      "widen-resize-axes",
      "Give a Resize of some axes the scales or sizes of all",
      {},
      [](const Options&) -> std::unique_ptr<Pass> { return std::make_unique<WidenResizeAxes>(); }};
}

}  // namespace dwindle::passes
