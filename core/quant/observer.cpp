#include "core/quant/observer.h"

#include <algorithm>

#include "core/quant/histogram.h"
#include "core/quant/range_search.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

class MinMaxObserver : public Observer {
 public:
  void observe(std::span<const float> values) override {
    if (values.empty()) return;
    const MinMax extremes = finite_min_max(values);
    range_ = {std::min(range_.low, extremes.min), std::max(range_.high, extremes.max)};
    seen_ = true;
  }
  Range range() const override { return range_; }
  bool seen() const override { return seen_; }

 private:
  Range range_{0, 0};  // 0 is always representable
  bool seen_ = false;
};

class MovingAverageObserver : public Observer {
 public:
  explicit MovingAverageObserver(double constant) : constant_(constant) {}

  void observe(std::span<const float> values) override {
    if (values.empty()) return;
    const MinMax extremes = finite_min_max(values);
    const double newest = seen_ ? constant_ : 1;
    low_ += newest * (static_cast<double>(extremes.min) - low_);
    high_ += newest * (static_cast<double>(extremes.max) - high_);
    seen_ = true;
  }
  Range range() const override {
    return {std::min(static_cast<float>(low_), 0.0f), std::max(static_cast<float>(high_), 0.0f)};
  }
  bool seen() const override { return seen_; }

 private:
  const double constant_;
  double low_ = 0, high_ = 0;
  bool seen_ = false;
};

class HistogramObserver : public Observer {
 public:
  explicit HistogramObserver(const ObserverOptions& options) : options_(options) {}

  void observe(std::span<const float> values) override { histogram_.add(values); }
  bool seen() const override { return histogram_.total() > 0; }

  Range range() const override {
    if (histogram_.total() == 0) return {0, 0};
    switch (options_.method) {
      case CalibrationMethod::kPercentile:
        return percentile_range(histogram_, options_.percentile);
      case CalibrationMethod::kEntropy:
        return entropy_range(histogram_, options_.dtype);
      default:
        return mse_range(histogram_, options_.dtype, options_.symmetric);
    }
  }

 private:
  ObserverOptions options_;
  Histogram histogram_;
};

}  // namespace

std::unique_ptr<Observer> make_observer(const ObserverOptions& options) {
  if (options.method == CalibrationMethod::kMinMax) return std::make_unique<MinMaxObserver>();
  if (options.method == CalibrationMethod::kMovingAverage) {
    if (!(options.averaging_constant > 0 && options.averaging_constant <= 1)) {
      throw BadOption("averaging-constant must be above 0 and at most 1");
    }
    return std::make_unique<MovingAverageObserver>(options.averaging_constant);
  }
  if (options.method == CalibrationMethod::kPercentile &&
      !(options.percentile > 50 && options.percentile <= 100)) {
    throw BadOption("percentile must be above 50 and at most 100");
  }
  return std::make_unique<HistogramObserver>(options);
}

CalibrationMethod calibration_method(std::string_view name) {
  if (name == "minmax") return CalibrationMethod::kMinMax;
  if (name == "moving-average") return CalibrationMethod::kMovingAverage;
  if (name == "percentile") return CalibrationMethod::kPercentile;
  if (name == "entropy") return CalibrationMethod::kEntropy;
  if (name == "mse") return CalibrationMethod::kMse;
  throw BadOption("unknown calibration method '" + std::string(name) +
                  "'; use minmax, moving-average, percentile, entropy or mse");
}

}  // namespace dwindle
