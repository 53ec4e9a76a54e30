// BatchNormalization of constant parameters: a scale and a shift for each channel.
#pragma once

#include <optional>
#include <vector>

#include "core/ir/model.h"

namespace dwindle {

// y[c] = scale[c] * x[c] + shift[c].
struct ChannelAffine {
  std::vector<double> scale, shift;
};

// What `node` computes in inference (Ioffe, Szegedy 2015, arXiv:1502.03167, section 3.1). None
// where it is no such BatchNormalization of opset 7 or later, a parameter is not constant or not
// float, or a result is not finite.
std::optional<ChannelAffine> constant_batch_norm(const Node& node, int opset);

}  // namespace dwindle
