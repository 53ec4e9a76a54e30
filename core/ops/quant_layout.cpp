#include "core/ops/quant_layout.h"

namespace dwindle {

QuantLayout::QuantLayout(const KernelContext& c, const Dims& shape, const Dims& scale, int64_t axis,
                         int64_t block_size) {
  if (block_size < 0) c.fail("block_size is " + std::to_string(block_size));
  if (element_count(scale) == 1) {
    single_ = true;
    inner_ = element_count(shape);
    return;
  }
  const auto at = static_cast<size_t>(c.normalize_axis(axis, static_cast<int64_t>(shape.size())));
  for (size_t i = 0; i < shape.size(); ++i) {
    (i < at ? outer_ : i == at ? extent_ : inner_) *= shape[i];
  }
  Dims expected = {extent_};
  if (block_size > 0) {
    block_ = block_size;
    blocks_ = extent_ / block_ + (extent_ % block_ != 0);
    expected = shape;
    expected[at] = blocks_;
  }
  if (scale != expected) {
    c.fail("the scales have shape " + to_string(scale) + " where " + to_string(expected) +
           " is expected");
  }
  along_inner_ = inner_ != 1;
  steps_ = along_inner_ == (block_ > 0);
  length_ = along_inner_ ? inner_ : block_ > 0 ? block_ : extent_;
}

ScalesAndZeroPoints read_scales(const KernelContext& c, size_t scale, size_t zero_point) {
  ScalesAndZeroPoints read;
  read.scales = to_floats(c.input(scale));
  read.zero_points.assign(read.scales.size(), 0);
  if (!c.has_input(zero_point)) return read;
  const Tensor& given = c.input(zero_point);
  if (given.size() != c.input(scale).size()) {
    c.fail("the zero points have shape " + to_string(given.shape()) + ", the scales " +
           to_string(c.input(scale).shape()));
  }
  // Zero points of float8 and smaller floats are 0 by definition.
  if (is_floating(given.dtype())) {
    for (float value : to_floats(given)) {
      if (value != 0) c.fail("a floating-point zero point is not 0");
    }
    return read;
  }
  const std::vector<int64_t> values = to_int64s(given);
  for (size_t i = 0; i < values.size(); ++i) {
    read.zero_points[i] = static_cast<int32_t>(values[i]);
  }
  return read;
}

}  // namespace dwindle
