// Pad as padding that the layer behind it can do by itself.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "core/ir/model.h"

namespace dwindle {

// What a constant Pad adds to the spatial axes of [N, C, ...], one number an axis, none negative.
struct SpatialPadding {
  std::vector<int64_t> begin, end;
  double value = 0;
};

// Where the constants of a graph are looked up: null for a value that is none.
using ConstantOf = std::function<const Tensor*(const Value*)>;

// None where `pad` is no Pad in mode constant of an input of `rank` axes, where its amounts are no
// constants, where it crops, or pads the first two axes.
std::optional<SpatialPadding> spatial_padding(const Node& pad, int opset, size_t rank,
                                              const ConstantOf& constant);

}  // namespace dwindle
