// Windows that slide over spatial axes: the arithmetic that Conv, ConvTranspose and pooling share.
#pragma once

#include <cstdint>
#include <string>

#include "core/ops/op.h"

namespace dwindle {

enum class AutoPad { kNotSet, kSameUpper, kSameLower, kValid };

// One spatial axis of a window.
struct WindowAxis {
  int64_t kernel = 1, stride = 1, dilation = 1;
  int64_t pad_begin = 0, pad_end = 0;

  // From the first to the last element under the window.
  int64_t reach() const { return (kernel - 1) * dilation + 1; }
};

// The attributes kernel_shape, strides, dilations, pads, auto_pad and ceil_mode of a node.
struct Window {
  std::vector<WindowAxis> axes;
  AutoPad auto_pad = AutoPad::kNotSet;
  bool ceil_mode = false;
};

// `kernel` is the shape of the weights' spatial axes; empty: kernel_shape says it, for a pool whose
// dilations count where `dilated`. Raises BadModel where an attribute is out of range or of the
// wrong length, Unsupported for negative pads.
Window read_window(const Node& node, const Dims& kernel, bool dilated = true);

// Resolves auto_pad into pads for an axis of `in` elements and returns the number of windows. In
// ceil_mode a last window may hang over the end, but not begin beyond the input and its pad at the
// front. Raises BadModel where not even one window fits.
int64_t place_windows(const Node& node, const Window& window, int64_t in, WindowAxis& axis);

// The windows o whose element number `tap` lies inside the axis: begin <= o < end.
struct WindowRange {
  int64_t begin, end;
};
WindowRange windows_inside(const WindowAxis& axis, int64_t tap, int64_t in, int64_t out);

}  // namespace dwindle
