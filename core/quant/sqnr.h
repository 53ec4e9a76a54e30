// Signal-to-quantization-noise ratio: 10·log10(Σ reference² / Σ (reference − other)²), in dB.
// Where both have the same infinity, as behind a mask, nothing is lost, and no power of it is
// counted; an infinity beside anything else is lost for good: −∞ dB. NaN makes NaN.
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
    double all_signal = 0, all_noise = 0;
    for (size_t lane = 0; lane < kLanes; ++lane) {
      all_signal += signal[lane];
      all_noise += noise[lane];
    }
    // Squares of floats do not leave the range of doubles, so only infinities and NaN do.
    if (!std::isfinite(all_signal) || !std::isfinite(all_noise)) {
      all_signal = all_noise = 0;
      for (i = 0; i < reference.size(); ++i) {
        add_one(reference[i], other[i], all_signal, all_noise);
      }
    }
    signal_ += all_signal;
    noise_ += all_noise;
  }
  // Infinite where there is no noise.
  double db() const {
    if (noise_ == 0) return std::numeric_limits<double>::infinity();
    if (std::isinf(noise_) && !std::isnan(signal_)) return -std::numeric_limits<double>::infinity();
    return 10 * std::log10(signal_ / noise_);
  }

 private:
  static void add_one(double x, double y, double& signal, double& noise) {
    if (std::isinf(x) && x == y) return;
    if (!std::isinf(x)) signal += x * x;
    const bool numbers = !std::isnan(x) && !std::isnan(y);
    noise += numbers && std::isinf(x - y) ? HUGE_VAL : (x - y) * (x - y);
  }

  double signal_ = 0, noise_ = 0;
};

}  // namespace dwindle
