#include "core/ops/window.h"

#include <algorithm>

#include "core/support/error.h"

namespace dwindle {
namespace {

// Keeps products of these attributes far from the end of 64 bits.
constexpr int64_t kMost = int64_t{1} << 30;

[[noreturn]] void bad(const Node& node, const std::string& what) {
  throw BadModel(node.op_type + " node '" + node.name + "': " + what);
}

std::vector<int64_t> sizes(const Node& node, const char* name, size_t count) {
  auto values = node.ints_attribute(name);
  if (!values || values->empty()) return std::vector<int64_t>(count, 1);
  if (values->size() != count) bad(node, std::string(name) + " must have one number an axis");
  for (int64_t value : *values) {
    if (value < 1 || value > kMost) bad(node, std::string(name) + " is out of range");
  }
  return *values;
}

AutoPad read_auto_pad(const Node& node) {
  const std::string text = node.string_attribute("auto_pad", "NOTSET");
  if (text == "NOTSET" || text.empty()) return AutoPad::kNotSet;
  if (text == "SAME_UPPER") return AutoPad::kSameUpper;
  if (text == "SAME_LOWER") return AutoPad::kSameLower;
  if (text == "VALID") return AutoPad::kValid;
  bad(node, "auto_pad '" + text + "' is not known");
}

}  // namespace

Window read_window(const Node& node, const Dims& kernel, bool dilated) {
  Window window;
  window.auto_pad = read_auto_pad(node);
  window.ceil_mode = node.int_attribute("ceil_mode", 0) != 0;
  const auto given = node.ints_attribute("kernel_shape");
  if (kernel.empty() && !given) bad(node, "kernel_shape is missing");
  if (given && !kernel.empty() && *given != kernel) {
    bad(node,
        "kernel_shape " + to_string(*given) + " differs from the weights' " + to_string(kernel));
  }
  const Dims& extents = kernel.empty() ? *given : kernel;
  const auto strides = sizes(node, "strides", extents.size());
  const auto dilations =
      dilated ? sizes(node, "dilations", extents.size()) : std::vector<int64_t>(extents.size(), 1);
  auto pads = node.ints_attribute("pads").value_or(std::vector<int64_t>());
  if (pads.empty() || window.auto_pad != AutoPad::kNotSet) pads.assign(2 * extents.size(), 0);
  if (pads.size() != 2 * extents.size()) bad(node, "pads must have two numbers an axis");
  for (size_t i = 0; i < extents.size(); ++i) {
    if (extents[i] < 1 || extents[i] > kMost) bad(node, "the kernel's shape is out of range");
    const int64_t begin = pads[i], end = pads[i + extents.size()];
    if (begin > kMost || end > kMost) bad(node, "pads are out of range");
    if (begin < 0 || end < 0) {
      throw Unsupported(node.op_type + " node '" + node.name +
                        "': a negative pad is not supported");
    }
    window.axes.push_back({extents[i], strides[i], dilations[i], begin, end});
  }
  return window;
}

int64_t place_windows(const Node& node, const Window& window, int64_t in, WindowAxis& axis) {
  if (window.auto_pad == AutoPad::kSameUpper || window.auto_pad == AutoPad::kSameLower) {
    const int64_t out = (in + axis.stride - 1) / axis.stride;
    const int64_t pad = std::max<int64_t>(0, (out - 1) * axis.stride + axis.reach() - in);
    axis.pad_begin = window.auto_pad == AutoPad::kSameLower ? (pad + 1) / 2 : pad / 2;
    axis.pad_end = pad - axis.pad_begin;
    return out;
  }
  const int64_t room = in + axis.pad_begin + axis.pad_end - axis.reach();
  if (room < 0) {
    bad(node, "a window of " + std::to_string(axis.reach()) + " does not fit an axis of " +
                  std::to_string(in));
  }
  int64_t out = room / axis.stride + 1;
  if (window.ceil_mode && room % axis.stride != 0 && out * axis.stride < in + axis.pad_begin) ++out;
  return out;
}

WindowRange windows_inside(const WindowAxis& axis, int64_t tap, int64_t in, int64_t out) {
  // 0 <= o * stride + shift < in
  const int64_t shift = tap * axis.dilation - axis.pad_begin;
  const int64_t begin = shift >= 0 ? 0 : (-shift + axis.stride - 1) / axis.stride;
  const int64_t end = in <= shift ? 0 : (in - shift - 1) / axis.stride + 1;
  return {std::min(begin, out), std::clamp(end, std::min(begin, out), out)};
}

}  // namespace dwindle
