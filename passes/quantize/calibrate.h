// Calibration: runs a model over data and keeps what quantization needs to know of its values.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/data/dataset.h"
#include "core/quant/observer.h"
#include "core/runtime/executor.h"
#include "core/support/progress.h"
#include "passes/quantize/placement.h"

namespace dwindle::passes {

// The mean of a value over everything but one axis.
class ChannelMeans {
 public:
  explicit ChannelMeans(int axis) : axis_(axis) {}
  // Of which means() are known.
  ChannelMeans(int axis, std::vector<double> means)
      : axis_(axis), consistent_(!means.empty()), sums_(std::move(means)), count_(1) {}
  // Sums are taken sample by sample in a fixed order, so they do not depend on the split into
  // batches or on the number of threads.
  // Values whose extent along the axis changes, or that are too large to add up, have no means:
  // means() is empty then.
  void add(const Tensor& tensor);
  std::vector<double> means() const;

 private:
  int axis_;
  bool consistent_ = true;
  std::vector<double> sums_;
  double count_ = 0;
};

// Why a value has no range where no sample made one.
inline constexpr const char* kNeverReached = "calibration never reached it";
// What the reason starts with where a sample made it NaN.
inline constexpr const char* kHoldsNan = "holds NaN";

struct Statistics {
  std::unordered_map<const Value*, std::unique_ptr<Observer>> observers;  // by source
  std::unordered_map<const Value*, ChannelMeans> means;  // data inputs of weighted nodes
  // Values without a range, and why: no data reached them, they are not finite, or the executor
  // does not show them.
  std::unordered_map<const Value*, std::string> unusable;
  std::unordered_set<const Graph*> unreached;  // of quantized_bodies(): no sample ran them
  std::vector<Feed> some_samples;              // SpreadSamples, to look closer with
  int64_t samples = 0;
};

// The values that calibration observes, and those whose channels it averages, with the axis of the
// channels: each once, in a fixed order.
std::vector<Value*> observed_values(const Placement& placement);
std::vector<std::pair<const Value*, int>> averaged_values(const Placement& placement);

// The graphs inside others (branches, bodies of loops) with nodes to quantize, in a fixed order.
std::vector<const Graph*> quantized_bodies(const Placement& placement);

// A few samples from the first to the last of a stream of unknown length: every step-th, with twice
// the step whenever they become too many. Samples of which a few would take much memory are left
// out, feeds that cannot be split count as one sample.
class SpreadSamples {
 public:
  void take(const Feed& feed);
  std::vector<Feed> take_all() { return std::move(kept_); }

 private:
  void thin_out();

  std::vector<Feed> kept_;
  int64_t seen_ = 0, step_ = 1;
};

// Runs `model` over all of `data`. Memory does not grow with the number of samples. Raises BadData
// where there is no sample, or where a feed does not fit the model or is not finite.
Statistics calibrate(const Model& model, const Placement& placement, Dataset& data,
                     const ObserverOptions& options, bool channel_means, Progress* progress,
                     const MakeExecutor& executors = make_float_executor);

}  // namespace dwindle::passes
