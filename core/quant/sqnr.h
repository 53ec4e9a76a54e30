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
    for (size_t i = 0; i < reference.size(); ++i) {
      const double error = static_cast<double>(reference[i]) - static_cast<double>(other[i]);
      signal_ += static_cast<double>(reference[i]) * static_cast<double>(reference[i]);
      noise_ += error * error;
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
