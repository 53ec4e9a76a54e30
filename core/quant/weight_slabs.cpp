#include "core/quant/weight_slabs.h"

#include <algorithm>

namespace dwindle {
namespace {

// Of any width, so many elements fill whole bytes.
constexpr int64_t kWholeBytes = 8;

}  // namespace

std::vector<WeightSlab> weight_slabs(const Dims& shape, const WeightFormat& format, int64_t most) {
  int64_t outer = 1, extent = 1, inner = 1;
  for (int i = 0; i < static_cast<int>(shape.size()); ++i) {
    (i < format.axis ? outer : i == format.axis ? extent : inner) *= shape[static_cast<size_t>(i)];
  }
  const int64_t size = outer * extent * inner;
  WeightFormat own = format;
  own.axis = format.axis < 0 ? -1 : 1;
  if (size == 0) return {};
  const bool spread = format.axis < 0 || (format.block_size == 0 && outer > 1);
  // The axis that is cut, and how many of its indices must stay together.
  const bool by_outer = outer > 1;
  const int64_t along = by_outer ? outer : extent;
  const int64_t together = by_outer ? 1 : std::max<int64_t>(1, format.block_size);
  const int64_t of_one = size / along;
  const int64_t unit = together * of_one % kWholeBytes == 0 ? together : together * kWholeBytes;
  const int64_t step = spread ? along : std::max<int64_t>(1, most / of_one / unit) * unit;
  std::vector<WeightSlab> slabs;
  for (int64_t first = 0; first < along; first += step) {
    const int64_t count = std::min(step, along - first);
    const Dims part = by_outer ? Dims{count, extent, inner} : Dims{outer, count, inner};
    slabs.push_back({first * of_one, count * of_one, part, own});
  }
  return slabs;
}

}  // namespace dwindle
