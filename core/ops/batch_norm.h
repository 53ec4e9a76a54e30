// BatchNormalization of constant parameters: a scale and a shift for each channel.
#pragma once

#include <optional>
#include <vector>

#include "core/ir/model.h"

namespace dwindle {

// y[c] = x[c] * scale[c] + shift[c], each rounded to float.
struct ChannelAffine {
  std::vector<float> scale, shift;
};

// Whether a BatchNormalization goes by the statistics of its data: where training_mode says so or,
// before opset 14, where it has outputs for them, read or not.
bool takes_batch_statistics(const Node& node, int opset);

// What the kernel of `node` computes in inference, to the bit (Ioffe, Szegedy 2015,
// arXiv:1502.03167, section 3.1). None where it is no such BatchNormalization of opset 7 or later,
// or a parameter is not constant or not float.
std::optional<ChannelAffine> constant_batch_norm(const Node& node, int opset);

}  // namespace dwindle
