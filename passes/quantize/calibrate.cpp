#include "passes/quantize/calibrate.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "core/data/feed_checks.h"
#include "core/runtime/compare.h"
#include "core/runtime/float_executor.h"
#include "core/support/error.h"
#include "core/support/threads.h"

namespace dwindle::passes {
namespace {

// Samples kept to look closer with, and the memory that they may take.
constexpr int64_t kFirstSamples = 2;
constexpr size_t kMostKept = size_t{16} << 20;

// The statistics before any data: what to watch.
Statistics start(const Placement& placement, const ObserverOptions& options, bool channel_means) {
  Statistics statistics;
  // The output of a Concat that works on integers has the elements of its inputs, which are
  // observed.
  const std::unordered_set<const Node*> concats(placement.concats.begin(), placement.concats.end());
  for (Value* value : placement.values) {
    if (placement.source(value) != value || concats.contains(value->producer())) continue;
    statistics.observers.emplace(value, make_observer(options));
  }
  for (const WeightSite& site : channel_means ? placement.weights : std::vector<WeightSite>{}) {
    if (quant_rule(*site.node)->kind != QuantKind::kWeighted) continue;
    statistics.means.emplace(site.node->input(0), ChannelMeans(reduced_data_axis(*site.node)));
  }
  return statistics;
}

std::string where(const Value& value, int64_t first, int64_t count) {
  const Node* producer = value.producer();
  std::string text = "'" + value.name() + "'";
  text += producer == nullptr ? " (an input of the model)"
                              : " (of " + producer->op_type + " node '" + producer->name + "')";
  text += count == 1
              ? ", sample " + std::to_string(first)
              : ", samples " + std::to_string(first) + " to " + std::to_string(first + count - 1);
  return text;
}

}  // namespace

void ChannelMeans::add(const Tensor& tensor) {
  const int rank = tensor.rank();
  const int axis = axis_ < 0 ? axis_ + rank : axis_;
  if (axis < 0 || axis >= rank || tensor.size() == 0) {
    consistent_ = false;
    return;
  }
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < rank; ++i) {
    if (i != axis) (i < axis ? outer : inner) *= tensor.shape()[static_cast<size_t>(i)];
  }
  const int64_t channels = tensor.shape()[static_cast<size_t>(axis)];
  if (sums_.empty()) sums_.resize(static_cast<size_t>(channels));
  if (static_cast<int64_t>(sums_.size()) != channels) {
    consistent_ = false;
    return;
  }
  const float* data = tensor.data<float>();
  parallel_for(channels, 16, [&](int64_t begin, int64_t end) {
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t c = begin; c < end; ++c) {
        constexpr int kLanes = 8;
        double lanes[kLanes] = {};
        const float* row = data + (o * channels + c) * inner;
        int64_t i = 0;
        for (; i + kLanes <= inner; i += kLanes) {
          for (int lane = 0; lane < kLanes; ++lane) lanes[lane] += row[i + lane];
        }
        for (; i < inner; ++i) lanes[0] += row[i];
        double sum = 0;
        for (double lane : lanes) sum += lane;
        sums_[static_cast<size_t>(c)] += sum;
      }
    }
  });
  count_ += static_cast<double>(outer * inner);
}

std::vector<double> ChannelMeans::means() const {
  if (!consistent_ || count_ == 0) return {};
  std::vector<double> means = sums_;
  for (double& mean : means) mean /= count_;
  return means;
}

namespace {

// Takes in the values of one model as they are computed.
class Calibrator {
 public:
  Calibrator(const Model& model, Statistics& statistics)
      : statistics_(statistics), executor_(model) {
    std::vector<const Value*> watched;
    for (auto& [value, observer] : statistics.observers) {
      const Tensor* constant = value->constant();
      if (constant == nullptr) {
        watched.push_back(value);
      } else {
        observe_constant(*value, *constant, *observer);
      }
    }
    for (auto& [value, means] : statistics.means) {
      if (!statistics.observers.contains(value)) watched.push_back(value);
    }
    executor_.watch(watched, [this](const Value& value, const Tensor& tensor) {
      observe(value, tensor);
      auto means = statistics_.means.find(&value);
      if (means != statistics_.means.end()) means->second.add(tensor);
    });
  }

  void take(const Feed& feed) {
    check_finite(feed, statistics_.samples);
    in_feed_ = feed.samples;
    executor_.run(feed.inputs);
    statistics_.samples += feed.samples;
  }

 private:
  static void observe_constant(const Value& value, const Tensor& constant, Observer& observer) {
    try {
      observer.observe(constant.values<float>());
    } catch (const BadData& error) {
      throw BadModel("the constant '" + value.name() + "' cannot be quantized: " + error.what());
    }
  }

  void observe(const Value& value, const Tensor& tensor) {
    auto observer = statistics_.observers.find(&value);
    if (observer == statistics_.observers.end() || statistics_.unusable.contains(&value)) return;
    const auto values = tensor.values<float>();
    try {
      observer->second->observe(values);
    } catch (const BadData& error) {
      const bool nan =
          std::any_of(values.begin(), values.end(), [](float x) { return std::isnan(x); });
      const std::string place = where(value, statistics_.samples, in_feed_);
      if (nan) throw BadData("calibration: " + place + ": " + error.what());
      // An attention mask may put infinities into a sound model.
      statistics_.unusable.emplace(&value, "holds infinities: " + place);
    }
  }

  Statistics& statistics_;
  FloatExecutor executor_;
  int64_t in_feed_ = 0;
};

void keep_first(const Feed& feed, std::vector<Feed>& kept) {
  if (static_cast<int64_t>(kept.size()) >= kFirstSamples) return;
  for (Feed& sample : split_samples(feed)) {
    size_t bytes = 0;
    for (const auto& [name, tensor] : sample.inputs) bytes += tensor.nbytes();
    if (bytes > kMostKept || static_cast<int64_t>(kept.size()) >= kFirstSamples) return;
    kept.push_back(std::move(sample));
  }
}

}  // namespace

Statistics calibrate(const Model& model, const Placement& placement, Dataset& data,
                     const ObserverOptions& options, bool channel_means, Progress* progress) {
  Statistics statistics = start(placement, options, channel_means);
  Calibrator calibrator(model, statistics);
  while (std::optional<Feed> feed = data.next()) {
    calibrator.take(*feed);
    keep_first(*feed, statistics.first_feeds);
    if (progress != nullptr) {
      progress->update("calibrating", static_cast<size_t>(statistics.samples),
                       static_cast<size_t>(data.size()));
    }
  }
  if (statistics.samples == 0) throw BadData("calibration: the data has no samples");
  for (const auto& [value, observer] : statistics.observers) {
    if (!observer->seen()) statistics.unusable.emplace(value, "calibration never reached it");
  }
  return statistics;
}

}  // namespace dwindle::passes
