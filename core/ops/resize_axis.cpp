// Coordinates and weights as ONNX's Resize-19 defines them, in single precision as ONNX Runtime
// computes them: another precision would round some coordinates to another neighbour.
#include "core/ops/resize_axis.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "core/support/error.h"

namespace dwindle {
namespace {

template <typename E, size_t N>
E choice(const Node& node, const char* name, const char* otherwise,
         const std::array<std::pair<const char*, E>, N>& known) {
  const std::string text = node.string_attribute(name, otherwise);
  for (const auto& [word, value] : known) {
    if (text == word) return value;
  }
  throw BadModel(node.op_type + " node '" + node.name + "': " + name + " '" + text +
                 "' is not known");
}

constexpr std::array<std::pair<const char*, ResizeMode>, 5> kModes = {{
    {"nearest", ResizeMode::kNearest},
    {"linear", ResizeMode::kLinear},
    {"bilinear", ResizeMode::kLinear},  // Upsample-1
    {"cubic", ResizeMode::kCubic},
    {"trilinear", ResizeMode::kLinear},
}};

constexpr std::array<std::pair<const char*, Coordinates>, 7> kCoordinates = {{
    {"half_pixel", Coordinates::kHalfPixel},
    {"half_pixel_symmetric", Coordinates::kHalfPixelSymmetric},
    {"pytorch_half_pixel", Coordinates::kPytorchHalfPixel},
    {"align_corners", Coordinates::kAlignCorners},
    {"asymmetric", Coordinates::kAsymmetric},
    {"tf_half_pixel_for_nn", Coordinates::kTfHalfPixelForNn},
    {"tf_crop_and_resize", Coordinates::kTfCropAndResize},
}};

constexpr std::array<std::pair<const char*, NearestMode>, 4> kNearestModes = {{
    {"round_prefer_floor", NearestMode::kRoundPreferFloor},
    {"round_prefer_ceil", NearestMode::kRoundPreferCeil},
    {"floor", NearestMode::kFloor},
    {"ceil", NearestMode::kCeil},
}};

// The place in the input that output `x` looks at.
float source_coordinate(const ResizeRule& rule, const ResizeAxis& axis, int64_t x) {
  const auto at = static_cast<float>(x), in = static_cast<float>(axis.in);
  const auto out = static_cast<float>(axis.out);
  switch (rule.coordinates) {
    case Coordinates::kHalfPixel:
      return (at + 0.5f) / axis.scale - 0.5f;
    case Coordinates::kHalfPixelSymmetric: {
      const float adjustment = out / (axis.scale * in);
      const float center = in / 2;
      return center * (1 - adjustment) + (at + 0.5f) / axis.scale - 0.5f;
    }
    case Coordinates::kPytorchHalfPixel:
      return axis.out > 1 ? (at + 0.5f) / axis.scale - 0.5f : 0;
    case Coordinates::kAlignCorners:
      return axis.out == 1 ? 0 : at * (in - 1) / (out - 1);
    case Coordinates::kTfHalfPixelForNn:
      return (at + 0.5f) / axis.scale;
    case Coordinates::kTfCropAndResize:
      if (axis.out == 1) return 0.5f * (axis.roi_begin + axis.roi_end) * (in - 1);
      return axis.roi_begin * (in - 1) +
             at * (axis.roi_end - axis.roi_begin) * (in - 1) / (out - 1);
    default:
      return at / axis.scale;
  }
}

bool is_outside(const ResizeRule& rule, const ResizeAxis& axis, float at) {
  return rule.coordinates == Coordinates::kTfCropAndResize &&
         !(at >= 0 && at <= static_cast<float>(axis.in - 1));
}

float rounded(const ResizeRule& rule, const ResizeAxis& axis, float at) {
  switch (rule.nearest) {
    case NearestMode::kRoundPreferFloor:
      return at == std::floor(at) + 0.5f ? std::floor(at) : std::round(at);
    case NearestMode::kRoundPreferCeil:
      return at == std::floor(at) + 0.5f ? std::ceil(at) : std::round(at);
    case NearestMode::kFloor:
      return std::floor(at);
    case NearestMode::kCeil:
      return std::ceil(at);
    default:
      return axis.scale < 1 ? std::ceil(at) : std::floor(at);
  }
}

// The kernel function at a distance of `x`.
float weight_at(const ResizeRule& rule, float x) {
  x = std::fabs(x);
  if (rule.mode == ResizeMode::kLinear) return std::max(0.0f, 1 - x);
  const float a = rule.cubic_a;
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

// Weights below 0 and above 1 may cancel; nothing is left to scale by then.
void normalize(float* weights, int64_t count) {
  float total = 0;
  for (int64_t i = 0; i < count; ++i) total += weights[i];
  if (total == 0) return;
  for (int64_t i = 0; i < count; ++i) weights[i] /= total;
}

}  // namespace

ResizeRule read_resize_rule(const Node& node, int opset) {
  ResizeRule rule;
  rule.mode = choice(node, "mode", "nearest", kModes);
  if (opset < 11 || node.op_type == "Upsample") return rule;
  rule.coordinates = choice(node, "coordinate_transformation_mode", "half_pixel", kCoordinates);
  rule.nearest = choice(node, "nearest_mode", "round_prefer_floor", kNearestModes);
  rule.cubic_a = node.float_attribute("cubic_coeff_a", -0.75f);
  rule.exclude_outside = node.int_attribute("exclude_outside", 0) != 0;
  rule.antialias = opset >= 18 && node.int_attribute("antialias", 0) != 0;
  return rule;
}

std::vector<int64_t> nearest_indices(const ResizeRule& rule, const ResizeAxis& axis) {
  std::vector<int64_t> indices;
  for (int64_t x = 0; x < axis.out; ++x) {
    const float at = source_coordinate(rule, axis, x);
    if (is_outside(rule, axis, at)) {
      indices.push_back(-1);
      continue;
    }
    const float nearest = axis.is_identity(rule) ? static_cast<float>(x) : rounded(rule, axis, at);
    indices.push_back(
        static_cast<int64_t>(std::clamp(nearest, 0.0f, static_cast<float>(axis.in - 1))));
  }
  return indices;
}

ResizeWeights resize_weights(const ResizeRule& rule, const ResizeAxis& axis) {
  ResizeWeights made;
  // A kernel that shrinks the image covers 1 / scale as many elements, so that none is passed over.
  const bool stretched = rule.antialias && axis.scale < 1;
  const float shrink = stretched ? axis.scale : 1;
  const float reach = (rule.mode == ResizeMode::kCubic ? 2.0f : 1.0f) / shrink;
  const auto side =
      static_cast<int64_t>(std::ceil(std::min(reach, static_cast<float>(axis.in) + 2)));
  made.taps = 2 * side;
  for (int64_t x = 0; x < axis.out; ++x) {
    float at = source_coordinate(rule, axis, x);
    if (is_outside(rule, axis, at)) {
      made.outside.push_back(x);
      at = 0;
    }
    const auto last = static_cast<float>(axis.in - 1);
    if (rule.mode == ResizeMode::kLinear && !stretched) at = std::clamp(at, 0.0f, last);
    const auto first = static_cast<int64_t>(std::floor(at)) - side + 1;
    const size_t row = made.weights.size();
    for (int64_t k = 0; k < made.taps; ++k) {
      const int64_t index = first + k;
      float weight = weight_at(rule, (at - static_cast<float>(index)) * shrink);
      if (rule.exclude_outside && (index < 0 || index >= axis.in)) weight = 0;
      made.weights.push_back(weight);
      made.indices.push_back(std::clamp<int64_t>(index, 0, axis.in - 1));
    }
    if (rule.exclude_outside || stretched) normalize(made.weights.data() + row, made.taps);
  }
  return made;
}

}  // namespace dwindle
