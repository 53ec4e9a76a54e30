#include "core/data/feed_checks.h"

#include <cmath>

#include "core/support/error.h"

namespace dwindle {
namespace {

// Index of the first element that is not finite; -1: none.
template <typename T, typename Convert>
int64_t find_non_finite(const Tensor& tensor, Convert convert) {
  const T* values = tensor.data<T>();
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (!std::isfinite(convert(values[i]))) return i;
  }
  return -1;
}

int64_t find_non_finite(const Tensor& tensor, double& value) {
  int64_t at = -1;
  const auto as_is = [](auto x) { return x; };
  const auto widened = [](auto x) { return to_float(x); };
  switch (tensor.dtype()) {
    case DType::kFloat:
      at = find_non_finite<float>(tensor, as_is);
      if (at >= 0) value = tensor.data<float>()[at];
      break;
    case DType::kDouble:
      at = find_non_finite<double>(tensor, as_is);
      if (at >= 0) value = tensor.data<double>()[at];
      break;
    case DType::kFloat16:
      at = find_non_finite<Float16>(tensor, widened);
      if (at >= 0) value = to_float(tensor.data<Float16>()[at]);
      break;
    case DType::kBfloat16:
      at = find_non_finite<Bfloat16>(tensor, widened);
      if (at >= 0) value = to_float(tensor.data<Bfloat16>()[at]);
      break;
    default:
      break;
  }
  return at;
}

Dims index_of(int64_t at, const Dims& shape) {
  Dims index(shape.size());
  for (size_t axis = shape.size(); axis-- > 0;) {
    index[axis] = at % shape[axis];
    at /= shape[axis];
  }
  return index;
}

}  // namespace

void check_finite(const Feed& feed, int64_t first_sample) {
  for (const auto& [name, tensor] : feed.inputs) {
    double value = 0;
    const int64_t at = find_non_finite(tensor, value);
    if (at < 0) continue;
    Dims position = index_of(at, tensor.shape());
    int64_t sample = first_sample;
    // Where the first axis counts samples; otherwise the feed as a whole is one.
    if (!position.empty() && (feed.samples > 1 || tensor.shape()[0] == 1)) {
      sample += position[0] % feed.samples;
      position.erase(position.begin());
    }
    throw BadData("input '" + name + "', sample " + std::to_string(sample) + ", position " +
                  to_string(position) + " is " +
                  (std::isnan(value) ? "NaN"
                   : value > 0       ? "infinity"
                                     : "-infinity") +
                  "; calibration data must be finite");
  }
}

}  // namespace dwindle
