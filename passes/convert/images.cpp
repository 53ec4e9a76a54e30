// Resampling: Upsample and Resize, GridSample, RoiAlign.
//
// No row is needed for the pools and convolutions. Their texts were mended on the way (what
// ceil_mode does to a window in the padding, what an odd padding of SAME_LOWER is), which says what
// runtimes did at every version; dilations and ceil_mode were added with a default.
#include <algorithm>

#include "passes/convert/conversion.h"

namespace dwindle::passes {
namespace {

// Upsample-7: scales in an attribute.
void upsample_scales(const NodeRaise& at) {
  const auto scales = at.node.floats_attribute("scales");
  if (!scales) refuse("it has no attribute 'scales'");
  at.node.remove_attribute("scales");
  const Dims shape{static_cast<int64_t>(scales->size())};
  at.node.set_input(1, at.constant("scales", Tensor::of<float>(shape, *scales)));
}

// Gives a node of the form of version 10 (input, scales) that of version 11.
void resize_from(const NodeRaise& at, Node& node, Value* scales, const char* nearest_mode) {
  node.resize_inputs(1);
  if (at.target < 13) {  // must be there, if empty
    node.set_input(1, at.constant("roi", Tensor::allocate(DType::kFloat, {0})));
  }
  node.set_input(2, scales);
  node.set_attribute("coordinate_transformation_mode", std::string("asymmetric"));
  if (node.string_attribute("mode", "nearest") == "nearest") {
    node.set_attribute("nearest_mode", std::string(nearest_mode));
  }
}

// Upsample only grows, whatever its scales are when it runs.
void upsample_to_resize(const NodeRaise& at) {
  at.node.op_type = "Resize";
  if (at.target >= 11) resize_from(at, at.node, at.node.input(1), "floor");
}

// Resize-10 went from out to in by the scale alone. Between two elements it took the higher along
// axes that shrink, the lower along those that grow: two steps where both may be.
void resize_coordinates(const NodeRaise& at) {
  if (at.node.attribute("coordinate_transformation_mode") != nullptr) return;  // was an Upsample
  Value* scales = at.node.input(1);
  const Tensor* known = scales->constant();
  bool shrinks = true, grows = true;
  if (known != nullptr && known->dtype() == DType::kFloat) {
    const auto values = known->values<float>();
    shrinks = std::any_of(values.begin(), values.end(), [](float scale) { return scale < 1; });
    grows = std::any_of(values.begin(), values.end(), [](float scale) { return scale > 1; });
  }
  const bool nearest = at.node.string_attribute("mode", "nearest") == "nearest";
  if (!nearest || !shrinks || !grows) {
    resize_from(at, at.node, scales, shrinks && !grows ? "ceil" : "floor");
    return;
  }
  Value* one = at.constant("one", Tensor::scalar(1.0f));
  Node* down = at.before("Min", {scales, one});
  Node* up = at.before("Max", {scales, one});
  Node* shrink = at.before("Resize", {at.node.input(0)});
  shrink->set_attribute("mode", std::string("nearest"));
  resize_from(at, *shrink, down->output(), "ceil");
  at.node.set_input(0, shrink->output());
  resize_from(at, at.node, up->output(), "floor");
}

// Version 13 takes scales or sizes and no longer knows tf_half_pixel_for_nn, which looks at the
// place half an element after that of half_pixel.
void resize_without_tf(const NodeRaise& at) {
  if (at.node.input(3) != nullptr) at.node.set_input(2, nullptr);
  if (at.node.string_attribute("coordinate_transformation_mode", "half_pixel") !=
      "tf_half_pixel_for_nn") {
    return;
  }
  const std::string mode = at.node.string_attribute("mode", "nearest");
  const std::string nearest = at.node.string_attribute("nearest_mode", "round_prefer_floor");
  if (mode != "nearest" || (nearest != "floor" && nearest != "round_prefer_floor")) {
    refuse("coordinates tf_half_pixel_for_nn with " +
           (mode == "nearest" ? "nearest_mode " + nearest : "mode " + mode));
  }
  at.node.set_attribute("coordinate_transformation_mode", std::string("half_pixel"));
  at.node.set_attribute("nearest_mode",
                        std::string(nearest == "floor" ? "round_prefer_ceil" : "ceil"));
}

void grid_sample_modes(const NodeRaise& at) {
  const std::string mode = at.node.string_attribute("mode", "bilinear");
  if (mode == "nearest") return;
  at.node.set_attribute("mode", std::string(mode == "bicubic" ? "cubic" : "linear"));
}

// The half pixel that RoiAlign-16 takes off is new.
void roi_align_coordinates(const NodeRaise& at) {
  at.node.set_attribute("coordinate_transformation_mode", std::string("output_half_pixel"));
}

}  // namespace

std::span<const Conversion> image_conversions() {
  static constexpr Conversion kConversions[] = {
      {"Upsample", 9, upsample_scales},        {"Upsample", 10, upsample_to_resize},
      {"Resize", 11, resize_coordinates},      {"Resize", 13, resize_without_tf},
      {"RoiAlign", 16, roi_align_coordinates}, {"GridSample", 20, grid_sample_modes},
  };
  return kConversions;
}

}  // namespace dwindle::passes
