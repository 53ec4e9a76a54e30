// Folding a row of numbers into one in eight lanes: vectorized, and always in the same order, so
// that the result depends on neither thread nor instruction set.
#pragma once

#include <algorithm>
#include <cstdint>

namespace dwindle {

// join(... join(first, term(x[0])) ...), regrouped. `first` must be neutral: 0 for a sum.
template <typename T, typename R, typename Join, typename Term>
R fold_lanes(const T* x, int64_t count, R first, const Join& join, const Term& term) {
  constexpr int64_t kLanes = 8;
  R lanes[kLanes];
  std::fill_n(lanes, kLanes, first);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t k = 0; k < kLanes; ++k) lanes[k] = join(lanes[k], term(x[i + k]));
  }
  for (int64_t k = 0; i + k < count; ++k) lanes[k] = join(lanes[k], term(x[i + k]));
  for (int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (int64_t k = 0; k < width; ++k) lanes[k] = join(lanes[k], lanes[k + width]);
  }
  return lanes[0];
}

template <typename T>
T sum_of(const T* x, int64_t count) {
  return fold_lanes(
      x, count, T{0}, [](T a, T b) { return a + b; }, [](T value) { return value; });
}

template <typename T>
T max_of(const T* x, int64_t count, T first) {
  return fold_lanes(
      x, count, first, [](T a, T b) { return b > a ? b : a; }, [](T value) { return value; });
}

}  // namespace dwindle
