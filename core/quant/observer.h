// Observers: what calibration remembers of a value, and the range that it makes of it.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "core/ir/dtype.h"

namespace dwindle {

// The interval of real numbers that a quantized dtype is to represent. Values outside saturate.
struct Range {
  float low, high;
};

class Observer {
 public:
  virtual ~Observer() = default;
  // Takes in a batch. Raises BadData where a value is NaN or infinite, with its position.
  virtual void observe(std::span<const float> values) = 0;
  // The range for all that has been observed; [0, 0] before the first value.
  virtual Range range() const = 0;
  // Whether there was any value.
  virtual bool seen() const = 0;
};

enum class CalibrationMethod {
  kMinMax,         // all values fit
  kMovingAverage,  // moving averages of the least and the greatest value of each feed
  kPercentile,     // all but the given share of the values on either side fit
  kEntropy,  // least Kullback-Leibler divergence between the float and the quantized histogram
  kMse,      // least mean squared error
};

struct ObserverOptions {
  CalibrationMethod method = CalibrationMethod::kMse;
  double percentile = 99.999;        // (50, 100]
  double averaging_constant = 0.01;  // (0, 1]: weight of the newest feed in a moving average
  DType dtype = DType::kUint8;       // that the range is for
  bool symmetric = false;
};

// Memory is bounded by a constant, however much is observed. Raises BadOption.
std::unique_ptr<Observer> make_observer(const ObserverOptions& options);

// "minmax", "moving-average", "percentile", "entropy", "mse". Raises BadOption for other names.
CalibrationMethod calibration_method(std::string_view name);

}  // namespace dwindle
