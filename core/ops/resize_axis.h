// What Resize does along one axis: which source elements each place of the output takes, and how
// much of each.
#pragma once

#include <cstdint>
#include <vector>

#include "core/ir/graph.h"

namespace dwindle {

enum class ResizeMode { kNearest, kLinear, kCubic };

enum class Coordinates {
  kHalfPixel,
  kHalfPixelSymmetric,
  kPytorchHalfPixel,
  kAlignCorners,
  kAsymmetric,
  kTfHalfPixelForNn,
  kTfCropAndResize,
};

enum class NearestMode {
  kRoundPreferFloor,
  kRoundPreferCeil,
  kFloor,
  kCeil,
  kSimple,  // before opset 11: up when shrinking, down otherwise
};

struct ResizeRule {
  ResizeMode mode = ResizeMode::kNearest;
  Coordinates coordinates = Coordinates::kAsymmetric;
  NearestMode nearest = NearestMode::kSimple;
  float cubic_a = -0.75f;
  bool exclude_outside = false;
  bool antialias = false;
};

// The attributes of Resize and Upsample. Raises BadModel for values that ONNX does not have.
ResizeRule read_resize_rule(const Node& node, int opset);

struct ResizeAxis {
  int64_t in = 1, out = 1;
  float scale = 1;
  float roi_begin = 0, roi_end = 1;  // for kTfCropAndResize, in parts of the axis

  // Whether the output is the input.
  bool is_identity(const ResizeRule& rule) const {
    return scale == 1 && in == out && rule.coordinates != Coordinates::kTfCropAndResize;
  }
};

// For kNearest: the source index of every output; -1 where it lies outside a crop.
std::vector<int64_t> nearest_indices(const ResizeRule& rule, const ResizeAxis& axis);

// For the other modes: output i is the sum of weights[k] · source[indices[k]] over the `taps`
// entries k from i · taps on. Outputs outside a crop are listed.
struct ResizeWeights {
  int64_t taps = 0;
  std::vector<int64_t> indices;
  std::vector<float> weights;
  std::vector<int64_t> outside;
};
ResizeWeights resize_weights(const ResizeRule& rule, const ResizeAxis& axis);

}  // namespace dwindle
