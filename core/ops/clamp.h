// Relu and Clip as bounds, which a layer's kernel applies as it writes: a pass over the tensor
// less.
#pragma once

#include <optional>

#include "core/ops/op.h"

namespace dwindle {

struct ClampBounds {
  float min, max;
};

// The bounds of a Relu or of a Clip between constant floats; none for any other node. The node then
// computes min(max(x, bounds.min), bounds.max), NaN for NaN.
std::optional<ClampBounds> clamp_bounds(const Node& node, int opset);

// The kernel of Conv, with its output between `bounds`: to the bit what the two nodes make.
Kernel clamped_conv(const ClampBounds& bounds);

}  // namespace dwindle
