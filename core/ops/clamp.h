// Relu and Clip as bounds, which a layer's kernel applies as it writes: a pass over the tensor
// less.
#pragma once

#include <limits>
#include <optional>

#include "core/ops/op.h"

namespace dwindle {

struct ClampBounds {
  float min, max;
};

inline constexpr ClampBounds kUnbounded{-std::numeric_limits<float>::infinity(),
                                        std::numeric_limits<float>::infinity()};

// The bounds of a Relu or of a Clip between constant floats; none for any other node. The node then
// computes min(max(x, bounds.min), bounds.max), NaN for NaN.
std::optional<ClampBounds> clamp_bounds(const Node& node, int opset);

}  // namespace dwindle
