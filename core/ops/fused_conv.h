// A Conv with the nodes around it as one kernel: a pass over a tensor less for each of them.
#pragma once

#include <optional>

#include "core/ops/clamp.h"
#include "core/ops/op.h"
#include "core/ops/pad.h"

namespace dwindle {

struct ConvNeighbours {
  std::optional<SpatialPadding> padding;  // zeros, of a Pad in front
  Tensor weights, bias;                   // in place of inputs 1 and 2 where defined
  ClampBounds bounds = kUnbounded;        // of a Relu or Clip behind

  // Puts the BatchNormalization `norm` behind `conv` into its weights and bias. False, with nothing
  // changed, where that is not possible: `norm` or the weights are not constant or not float.
  bool absorb(const Node& norm, const Node& conv, int opset);
};

// The kernel of a Conv that does its neighbours' work too. It takes the inputs of the Conv, input 0
// as it is in front of the padding. Padding and bounds change no bit of what the nodes make one by
// one; a BatchNormalization changes the rounding.
Kernel fused_conv(ConvNeighbours neighbours);

}  // namespace dwindle
