#include "passes/quantize/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "core/data/feed_checks.h"
#include "core/ir/finite.h"
#include "core/runtime/compare.h"
#include "core/support/error.h"
#include "core/support/threads.h"

namespace dwindle::passes {
namespace {

// Samples kept to look closer with, and the memory that one may take.
constexpr size_t kSamplesKept = 4;
constexpr size_t kMostSampleBytes = size_t{16} << 20;
// Samples are run together as long as the largest value stays in the cache: a value is looked at
// just after it is computed.
constexpr int64_t kMostValueBytes = int64_t{2} << 20;

// The statistics before any data: what to watch.
Statistics start(const Placement& placement, const ObserverOptions& options, bool channel_means) {
  Statistics statistics;
  for (const Graph* body : quantized_bodies(placement)) statistics.unreached.insert(body);
  for (Value* value : observed_values(placement)) {
    statistics.observers.emplace(value, make_observer(options));
  }
  if (!channel_means) return statistics;
  for (const auto& [value, axis] : averaged_values(placement)) {
    statistics.means.emplace(value, ChannelMeans(axis));
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

// Work that is worth a thread.
constexpr int64_t kSumGrain = 1 << 15;

// In double but for a few additions in a row, in a fixed order.
double sum_of(const float* values, int64_t count) {
  constexpr int kLanes = 16;
  constexpr int64_t kBlock = 8 * kLanes;
  double sum = 0;
  int64_t i = 0;
  while (i + kLanes <= count) {
    float lanes[kLanes] = {};
    const int64_t end = std::min(i + kBlock, count / kLanes * kLanes);
    for (; i < end; i += kLanes) {
      for (int lane = 0; lane < kLanes; ++lane) lanes[lane] += values[i + lane];
    }
    for (int half = kLanes / 2; half > 0; half /= 2) {
      for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
    }
    sum += static_cast<double>(lanes[0]);
  }
  for (; i < count; ++i) sum += static_cast<double>(values[i]);
  return sum;
}

}  // namespace

std::vector<Value*> observed_values(const Placement& placement) {
  std::vector<Value*> observed;
  // The output of a Concat that works on integers has the elements of its inputs, which are
  // observed.
  const std::unordered_set<const Node*> concats(placement.concats.begin(), placement.concats.end());
  for (Value* value : placement.values) {
    if (placement.source(value) == value && !concats.contains(value->producer())) {
      observed.push_back(value);
    }
  }
  return observed;
}

std::vector<std::pair<const Value*, int>> averaged_values(const Placement& placement) {
  std::vector<std::pair<const Value*, int>> averaged;
  std::unordered_set<const Value*> known;
  for (const WeightSite& site : placement.weights) {
    if (quant_rule(*site.node)->kind != QuantKind::kWeighted) continue;
    const Value* data = site.node->input(0);
    if (data->constant() != nullptr) continue;
    if (known.insert(data).second) averaged.emplace_back(data, reduced_data_axis(*site.node));
  }
  return averaged;
}

std::vector<const Graph*> quantized_bodies(const Placement& placement) {
  std::vector<const Graph*> bodies;
  std::unordered_set<const Graph*> known;
  auto add = [&](const Graph* graph) {
    if (graph->parent() != nullptr && known.insert(graph).second) bodies.push_back(graph);
  };
  for (const Node* node : placement.nodes) add(node->graph());
  for (const WeightSite& site : placement.weights) add(site.node->graph());
  return bodies;
}

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
  const int64_t grain = std::max<int64_t>(kSumGrain / std::max<int64_t>(outer * inner, 1), 1);
  parallel_for(channels, grain, [&](int64_t begin, int64_t end) {
    for (int64_t o = 0; o < outer; ++o) {
      const float* rows = data + o * channels * inner;
      if (inner == 1) {
        for (int64_t c = begin; c < end; ++c) sums_[static_cast<size_t>(c)] += rows[c];
        continue;
      }
      for (int64_t c = begin; c < end; ++c) {
        sums_[static_cast<size_t>(c)] += sum_of(rows + c * inner, inner);
      }
    }
  });
  count_ += static_cast<double>(outer * inner);
}

std::vector<double> ChannelMeans::means() const {
  if (!consistent_ || count_ == 0) return {};
  std::vector<double> means = sums_;
  for (double& mean : means) {
    mean /= count_;
    if (!std::isfinite(mean)) return {};
  }
  return means;
}

namespace {

// Takes in the values of one model as they are computed.
class Calibrator {
 public:
  // `in_parts`: whether feeds may be taken apart.
  Calibrator(const Model& model, Statistics& statistics, bool in_parts,
             const MakeExecutor& executors)
      : statistics_(statistics), executor_(executors(model)), most_(in_parts ? 1 : kAll) {
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
    for (const Graph* body : statistics.unreached) watch_first(*body, watched);
    executor_->watch(watched, [this](const Value& value, const Tensor& tensor) {
      largest_ = std::max(largest_, static_cast<int64_t>(tensor.nbytes()));
      if (first_of_bodies_.contains(&value)) statistics_.unreached.erase(value.graph());
      observe(value, tensor);
      auto means = statistics_.means.find(&value);
      if (means != statistics_.means.end()) means->second.add(tensor);
    });
  }

  void take(const Feed& feed) {
    if (feed.samples == 0) return;
    check_finite(feed, statistics_.samples);
    if (most_ == kAll) return run(feed);
    for (const Feed& part : split_samples(feed, most_)) run(part);
    // What the first samples take, the others will.
    const int64_t bytes = std::max<int64_t>(largest_ / std::max<int64_t>(in_feed_, 1), 1);
    most_ = std::clamp<int64_t>(kMostValueBytes / bytes, 1, kAll - 1);
  }

  // Says of the values that no data has reached why.
  void close() {
    for (const auto& [value, observer] : statistics_.observers) {
      const bool constant = value->constant() != nullptr;
      const std::string blind = constant ? "" : executor_->blind_to(*value);
      if (!blind.empty()) {
        statistics_.unusable.emplace(value, blind);
      } else if (!observer->seen()) {
        statistics_.unusable.emplace(value, kNeverReached);
      }
    }
    std::erase_if(statistics_.unreached, [&](const Graph* body) {
      return std::ranges::none_of(first_of_bodies_, [&](const Value* value) {
        return value->graph() == body && executor_->blind_to(*value).empty();
      });
    });
  }

 private:
  static constexpr int64_t kAll = int64_t{1} << 32;

  void run(const Feed& feed) {
    in_feed_ = feed.samples;
    largest_ = 0;
    executor_->run(feed.inputs);
    statistics_.samples += feed.samples;
  }

  // What shows that a body runs: the first value that it computes.
  void watch_first(const Graph& body, std::vector<const Value*>& watched) {
    for (const Node* node : body.nodes()) {
      const Value* value = node->output();
      if (value == nullptr || !value->type.is_tensor()) continue;
      const bool known = statistics_.observers.contains(value) || statistics_.means.contains(value);
      if (!known) watched.push_back(value);
      first_of_bodies_.insert(value);
      return;
    }
  }

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
    try {
      observer->second->observe(tensor.values<float>());
    } catch (const BadData&) {
      // An attention mask may put infinities into a sound model, a mean over nothing NaN (of nodes
      // without neighbours in a graph, of an empty segment), which is chosen away later on.
      const char* what = find_non_finite(tensor).nans > 0 ? kHoldsNan : "holds infinities";
      statistics_.unusable.emplace(
          &value, fmt::format("{}: {}", what, where(value, statistics_.samples, in_feed_)));
    }
  }

  Statistics& statistics_;
  std::unique_ptr<Executor> executor_;
  std::unordered_set<const Value*> first_of_bodies_;
  int64_t in_feed_ = 0;
  int64_t largest_ = 0;  // bytes of the largest value in this run
  int64_t most_;         // samples in a run
};

}  // namespace

void SpreadSamples::take(const Feed& feed) {
  if (feed.samples == 0) return;
  for (Feed& sample : split_samples(feed)) {
    if (seen_++ % step_ != 0) continue;
    size_t bytes = 0;
    for (const auto& [name, tensor] : sample.inputs) bytes += tensor.nbytes();
    if (bytes > kMostSampleBytes) continue;
    if (kept_.size() == kSamplesKept) thin_out();
    // A part of a batch is copied, as it would keep the batch.
    if (sample.samples < feed.samples) {
      for (auto& [name, tensor] : sample.inputs) tensor.mutable_bytes();
    }
    kept_.push_back(std::move(sample));
  }
}

void SpreadSamples::thin_out() {
  for (size_t i = 0; i < kept_.size(); i += 2) std::swap(kept_[i / 2], kept_[i]);
  kept_.resize((kept_.size() + 1) / 2);
  step_ *= 2;
}

Statistics calibrate(const Model& model, const Placement& placement, Dataset& data,
                     const ObserverOptions& options, bool channel_means, Progress* progress,
                     const MakeExecutor& executors) {
  Statistics statistics = start(placement, options, channel_means);
  // A moving average goes feed by feed.
  const bool in_parts = options.method != CalibrationMethod::kMovingAverage;
  Calibrator calibrator(model, statistics, in_parts, executors);
  SpreadSamples some;
  while (std::optional<Feed> feed = data.next()) {
    calibrator.take(*feed);
    some.take(*feed);
    if (progress != nullptr) {
      progress->update("calibrating", static_cast<size_t>(statistics.samples),
                       static_cast<size_t>(data.size()));
    }
  }
  if (statistics.samples == 0) throw BadData("the calibration data has no samples");
  calibrator.close();
  statistics.some_samples = some.take_all();
  return statistics;
}

}  // namespace dwindle::passes
