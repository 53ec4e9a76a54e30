// The definition that every other variant repeats bit for bit.
#include <limits>

#include "core/kernels/min_max_f32/min_max_f32.h"

namespace dwindle::kernels {

// Several lanes, so that the compiler can keep them in vector registers. A NaN fails both
// comparisons, so the sum of the differences from itself tells of it instead.
MinMaxF32 min_max_f32_scalar(const float* values, int64_t count) noexcept {
  constexpr int kLanes = 16;
  float low[kLanes], high[kLanes], odd[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) {
    low[lane] = std::numeric_limits<float>::infinity();
    high[lane] = -low[lane];
    odd[lane] = 0;
  }
  auto take = [&](int lane, float x) {
    low[lane] = x < low[lane] ? x : low[lane];
    high[lane] = x > high[lane] ? x : high[lane];
    odd[lane] += x - x;  // 0, or NaN for NaN and infinities
  };
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) take(lane, values[i + lane]);
  }
  for (; i < count; ++i) take(0, values[i]);
  for (int lane = 1; lane < kLanes; ++lane) {
    low[0] = low[lane] < low[0] ? low[lane] : low[0];
    high[0] = high[lane] > high[0] ? high[lane] : high[0];
    odd[0] += odd[lane];
  }
  return {low[0] + 0.0f, high[0] + 0.0f, odd[0] == 0};
}

}  // namespace dwindle::kernels
