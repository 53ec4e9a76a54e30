#include "core/ops/conv_shapes.h"

namespace dwindle {

Shape conv_output_shape(const Node& node, const Shape& x, const Shape& w) {
  Shape out(x.size());
  out[0] = x[0];
  out[1] = w[0];
  const Shape kernel(w.begin() + 2, w.end());
  if (!all_known(kernel)) return out;
  Window window = read_window(node, to_dims(kernel));
  for (size_t i = 0; i < window.axes.size(); ++i) {
    if (!x[i + 2].known()) continue;
    out[i + 2] = place_windows(node, window, x[i + 2].extent, window.axes[i]);
  }
  return out;
}

}  // namespace dwindle
