// Signal-to-quantization-noise ratio: 10·log10(Σ reference² / Σ (reference − other)²), in dB.
#pragma once

#include <cmath>
#include <limits>
#include <span>

namespace dwindle {

class Sqnr {
 public:
  // Both of the same length.
  void add(std::span<const float> reference, std::span<const float> other) {
    // Several sums beside each other: an addition does not wait for the one before it.
    constexpr size_t kLanes = 8;
    double signal[kLanes] = {}, noise[kLanes] = {};
    auto take = [&](size_t lane, double x, double y) {
      signal[lane] += x * x;
      noise[lane] += (x - y) * (x - y);
    };
    size_t i = 0;
    for (; i + kLanes <= reference.size(); i += kLanes) {
      for (size_t lane = 0; lane < kLanes; ++lane) take(lane, reference[i + lane], other[i + lane]);
    }
    for (; i < reference.size(); ++i) take(0, reference[i], other[i]);
    for (size_t lane = 0; lane < kLanes; ++lane) {
      signal_ += signal[lane];
      noise_ += noise[lane];
    }
  }
  // Infinite where there is no noise.
  double db() const {
    if (noise_ == 0) return std::numeric_limits<double>::infinity();
    return 10 * std::log10(signal_ / noise_);
  }

 private:
  double signal_ = 0, noise_ = 0;
};

}  // namespace dwindle
