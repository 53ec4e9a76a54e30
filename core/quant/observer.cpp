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
  }
  Range range() const override { return range_; }

 private:
  Range range_{0, 0};  // 0 is always representable
};

class HistogramObserver : public Observer {
 public:
  explicit HistogramObserver(const ObserverOptions& options) : options_(options) {}

  void observe(std::span<const float> values) override { histogram_.add(values); }

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
  if (options.method == CalibrationMethod::kPercentile &&
      !(options.percentile > 50 && options.percentile <= 100)) {
    throw BadOption("percentile must be above 50 and at most 100");
  }
  return std::make_unique<HistogramObserver>(options);
}

CalibrationMethod calibration_method(std::string_view name) {
  if (name == "minmax") return CalibrationMethod::kMinMax;
  if (name == "percentile") return CalibrationMethod::kPercentile;
  if (name == "entropy") return CalibrationMethod::kEntropy;
  if (name == "mse") return CalibrationMethod::kMse;
  throw BadOption("unknown calibration method '" + std::string(name) +
                  "'; use minmax, percentile, entropy or mse");
}

}  // namespace dwindle
