#include "passes/quantize/calibrate.h"

#include "core/data/feed_checks.h"
#include "core/runtime/float_executor.h"
#include "core/support/error.h"
#include "core/support/threads.h"

namespace dwindle::passes {
namespace {

// What to watch, and the statistics that start with what is known before any data: constants.
Statistics start(const Placement& placement, const ObserverOptions& options, bool channel_means) {
  Statistics statistics;
  for (Value* value : placement.values) {
    const bool joined = value->producer() != nullptr && value->producer()->is("Concat");
    // Concat's output has the elements of its inputs, which are observed.
    if (placement.source(value) != value || joined) continue;
    statistics.observers.emplace(value, make_observer(options));
  }
  for (const Node* node : channel_means ? placement.weighted : std::vector<Node*>{}) {
    statistics.means.emplace(node->input(0), ChannelMeans(reduced_data_axis(*node)));
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

Statistics calibrate(const Model& model, const Placement& placement, Dataset& data,
                     const ObserverOptions& options, bool channel_means, Progress* progress) {
  Statistics statistics = start(placement, options, channel_means);
  std::vector<const Value*> watched;
  for (auto& [value, observer] : statistics.observers) {
    const Tensor* constant = value->constant();
    if (constant == nullptr) {
      watched.push_back(value);
      continue;
    }
    try {
      observer->observe(constant->values<float>());
    } catch (const BadData& error) {
      throw BadModel("the constant '" + value->name() + "' cannot be quantized: " + error.what() +
                     "; exclude the nodes that read it");
    }
  }
  for (auto& [value, means] : statistics.means) {
    if (!statistics.observers.contains(value)) watched.push_back(value);
  }

  FloatExecutor executor(model);
  int64_t in_feed = 0;
  executor.watch(watched, [&](const Value& value, const Tensor& tensor) {
    auto observer = statistics.observers.find(&value);
    if (observer != statistics.observers.end()) {
      try {
        observer->second->observe(tensor.values<float>());
      } catch (const BadData& error) {
        throw BadData("calibration: " + where(value, statistics.samples, in_feed) + ": " +
                      error.what());
      }
    }
    auto means = statistics.means.find(&value);
    if (means != statistics.means.end()) means->second.add(tensor);
  });
  while (std::optional<Feed> feed = data.next()) {
    in_feed = feed->samples;
    check_finite(*feed, statistics.samples);
    executor.run(feed->inputs);
    statistics.samples += feed->samples;
    if (progress != nullptr) {
      progress->update("calibrating", static_cast<size_t>(statistics.samples),
                       static_cast<size_t>(data.size()));
    }
  }
  if (statistics.samples == 0) throw BadData("calibration: the data has no samples");
  return statistics;
}

}  // namespace dwindle::passes
