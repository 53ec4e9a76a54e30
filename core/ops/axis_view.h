// A tensor as [outer, extent, inner] around one axis.
#pragma once

#include <cstdint>

#include "core/ops/op.h"

namespace dwindle {

struct AxisView {
  int64_t outer = 1, extent = 1, inner = 1;

  // `axis` is in [0, rank).
  AxisView(const Dims& shape, int64_t axis) {
    for (size_t i = 0; i < shape.size(); ++i) {
      const auto at = static_cast<int64_t>(i);
      (at < axis ? outer : at == axis ? extent : inner) *= shape[i];
    }
  }
};

}  // namespace dwindle
