// The definition that every other variant repeats, but for the table that a value is counted in.
#include "core/kernels/count_bins_f32/count_bins_f32.h"

namespace dwindle::kernels {

void count_bins_f32_scalar(const CountBinsF32& p) noexcept {
  constexpr int kBlock = 64;
  int32_t bins[kBlock];
  for (int64_t first = 0; first < p.count; first += kBlock) {
    const auto count = static_cast<int>(p.count - first < kBlock ? p.count - first : kBlock);
    for (int i = 0; i < count; ++i) {
      // Truncation goes towards zero; floor is one less for negative fractions.
      const float x = p.values[first + i] * p.inverse;
      const auto towards_zero = static_cast<int32_t>(x);
      bins[i] = towards_zero - (x < static_cast<float>(towards_zero) ? 1 : 0) + p.zero;
    }
    for (int i = 0; i < count; ++i) ++p.counts[bins[i] + (i & 1) * p.bins];
  }
}

}  // namespace dwindle::kernels
