// A Conv with the nodes around it as one kernel: a pass over a tensor less for each of them.
#pragma once

#include <optional>

#include "core/kernels/unary_f32/unary_f32.h"
#include "core/ops/batch_norm.h"
#include "core/ops/clamp.h"
#include "core/ops/op.h"
#include "core/ops/pad.h"

namespace dwindle {

struct ConvNeighbours {
  std::optional<SpatialPadding> padding;  // zeros, of a Pad in front
  std::optional<ChannelAffine> norm;      // of a BatchNormalization behind
  ClampBounds bounds = kUnbounded;        // of a Relu or Clip behind that
  // Of another activation function in its place.
  std::optional<kernels::UnaryF32> activation;
};

// The kernel of a Conv that does its neighbours' work too: to the bit what the nodes make one by
// one. It takes the inputs of the Conv, input 0 as it is in front of the padding.
Kernel fused_conv(ConvNeighbours neighbours);

}  // namespace dwindle
