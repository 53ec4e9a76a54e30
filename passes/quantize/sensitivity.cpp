#include "passes/quantize/sensitivity.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <queue>
#include <unordered_map>
#include <unordered_set>

#include "core/support/error.h"
#include "passes/quantize/rounded_runs.h"

namespace dwindle::passes {
namespace {

// A value stands out where it alone makes this share of the noise that is allowed in all.
constexpr double kLeastShare = 1.0 / 16;
// Bounds the time for models in which many values stand out: a run takes as long as the model is
// deep, so that deep ones have fewer.
int most_runs(size_t values) {
  return static_cast<int>(std::clamp<size_t>(200'000 / values, 40, 400));
}
// So many values in a row must take this share off the noise, or the search is in vain: outputs
// that jump (rows sorted by score) change as much whatever is rounded.
constexpr size_t kPatience = 12;
constexpr double kLeastProgress = 0.1;
// What stays in float for values that are no help in the end is lost time on the device.
constexpr double kLeastGain = 0.5;

using Values = std::vector<const Value*>;

// What rounding costs on a few feeds.
class Roundings {
 public:
  Roundings(std::unique_ptr<RoundedRuns> rounded, const std::vector<Feed>& feeds)
      : feeds_(feeds), rounded_(std::move(rounded)) {
    for (const Feed& feed : feeds) real_.push_back(rounded_->run(feed.inputs));
  }

  // Noise by signal at the worst output, where `values` are rounded.
  double noise(const Values& values) { return worst(sum(run_all(values))).ratio(); }

  // The same, which rough_noise() is compared with from now on: it takes the one feed that has most
  // of this noise. All of it may be in one, where a score near a bound decides what is done.
  double whole_noise(const Values& values) {
    const std::vector<Powers> feeds = run_all(values);
    const auto hurt = std::ranges::max_element(
        feeds, {}, [](const Powers& outputs) { return worst(outputs).noise; });
    rough_feed_ = static_cast<size_t>(hurt - feeds.begin());
    const double whole = worst(sum(feeds)).ratio(), rough = worst(*hurt).ratio();
    rough_scale_ = rough > 0 ? whole / rough : 1;
    return whole;
  }

  // An estimate of noise() by one feed: enough to compare parts with each other.
  double rough_noise(const Values& values) {
    start(values);
    return rough_scale_ * worst(run(rough_feed_)).ratio();
  }

  int runs() const { return runs_; }

 private:
  struct Power {
    double signal = 0, noise = 0;

    void add(const Power& other) {
      signal += other.signal;
      noise += other.noise;
    }
    void add(const Tensor& real, const Tensor& other) {
      if (!is_floating(real.dtype()) || real.shape() != other.shape()) return;
      const std::vector<float> a = to_floats(real), b = to_floats(other);
      for (size_t i = 0; i < a.size(); ++i) {
        if (!std::isfinite(a[i])) continue;
        const double error = static_cast<double>(a[i]) - static_cast<double>(b[i]);
        signal += static_cast<double>(a[i]) * static_cast<double>(a[i]);
        noise += std::isfinite(error) ? error * error : std::numeric_limits<float>::max();
      }
    }
    double ratio() const { return signal > 0 ? noise / signal : 0; }
  };
  using Powers = std::map<std::string, Power>;

  // The powers of the outputs for feed i.
  Powers run(size_t i) {
    Powers outputs;
    for (const auto& [name, tensor] : rounded_->run(feeds_[i].inputs)) {
      outputs[name].add(real_[i].at(name), tensor);
    }
    return outputs;
  }

  std::vector<Powers> run_all(const Values& values) {
    start(values);
    std::vector<Powers> feeds;
    for (size_t i = 0; i < feeds_.size(); ++i) feeds.push_back(run(i));
    return feeds;
  }

  static Powers sum(const std::vector<Powers>& feeds) {
    Powers all;
    for (const Powers& outputs : feeds) {
      for (const auto& [name, power] : outputs) all[name].add(power);
    }
    return all;
  }

  static Power worst(const Powers& outputs) {
    Power most;
    for (const auto& [name, power] : outputs) {
      if (power.ratio() > most.ratio()) most = power;
    }
    return most;
  }

  void start(const Values& values) {
    ++runs_;
    rounded_->round(values);
  }

  const std::vector<Feed>& feeds_;
  std::unique_ptr<RoundedRuns> rounded_;
  std::vector<TensorMap> real_;
  size_t rough_feed_ = 0;
  double rough_scale_ = 1;
  int runs_ = 0;
};

struct Part {
  double noise;
  bool measured;  // or told from what the other half leaves of the whole
  Values values;
  bool operator<(const Part& other) const { return noise < other.noise; }
};

Values rounded_values(const Plan& plan) {
  Values values;
  for (const Value* value : plan.placement.values) {
    if (value->constant() == nullptr && plan.placement.source(value) == value) {
      values.push_back(value);
    }
  }
  return values;
}

Values without(const Values& values, const std::unordered_set<const Value*>& gone) {
  Values left;
  std::copy_if(values.begin(), values.end(), std::back_inserter(left),
               [&](const Value* value) { return !gone.contains(value); });
  return left;
}

// Where the operator table ends, be it in the first run, another executor takes a copy of the
// model.
Roundings make_roundings(const Model& model, const Plan& plan, const Values& values,
                         const std::vector<Feed>& feeds, const MakeExecutor& executors) {
  try {
    return {runs_in_float_executor(model, plan), feeds};
  } catch (const Unsupported&) {
  }
  try {
    return {runs_of_switched_copy(model, plan, values, executors), feeds};
  } catch (const Error& error) {
    throw Unsupported(error.what());
  }
}

}  // namespace

// Noises add up, nearly. So the noisiest part is cut in two again and again until one value is
// left, which is taken out, until the rest is quiet enough. For the same reason one half tells
// about the other, though no value is blamed before it was rounded alone. Where they do not add up
// (what comes out of a Concat is no noisier than what goes in, and neither is), what is left when
// no part stands out is cut again.
std::vector<SensitiveValue> sensitive_values(const Model& model, const Plan& plan,
                                             const std::vector<Feed>& feeds, double least_db,
                                             const MakeExecutor& executors) {
  const Values all = rounded_values(plan);
  if (all.empty() || feeds.empty()) return {};
  const double allowed = std::pow(10.0, -least_db / 10);
  Roundings roundings = make_roundings(model, plan, all, feeds, executors);
  std::vector<SensitiveValue> found;
  std::unordered_set<const Value*> taken;
  std::priority_queue<Part> parts;
  const double whole = roundings.whole_noise(all);
  if (whole <= allowed) return {};
  double left = whole;
  double at_last_check = whole;
  parts.push({whole, true, all});
  size_t at_last_start = 0;
  const int runs = most_runs(all.size());
  while (left > allowed && roundings.runs() < runs) {
    if (parts.empty()) {
      if (found.size() == at_last_start) break;
      at_last_start = found.size();
      parts.push({left, true, without(all, taken)});
    }
    const Part part = parts.top();
    parts.pop();
    auto keep = [&](double noise, bool measured, Values values) {
      if (noise > kLeastShare * allowed) parts.push({noise, measured, std::move(values)});
    };
    if (part.values.size() == 1) {
      if (!part.measured) {
        keep(roundings.rough_noise(part.values), true, part.values);
        continue;
      }
      found.push_back({part.values[0], -10 * std::log10(part.noise)});
      taken.insert(part.values[0]);
      const Values rest = without(all, taken);
      left = roundings.rough_noise(rest);
      if (left <= allowed) left = roundings.noise(rest);
      if (found.size() % kPatience == 0) {
        if (left > (1 - kLeastProgress) * at_last_check) break;
        at_last_check = left;
      }
      continue;
    }
    const auto middle = part.values.begin() + static_cast<ptrdiff_t>(part.values.size() / 2);
    Values first(part.values.begin(), middle), second(middle, part.values.end());
    const double noise = roundings.rough_noise(first);
    // More than the whole: these noises cancel each other out.
    const bool adds_up = noise <= part.noise;
    const double other = adds_up ? part.noise - noise : roundings.rough_noise(second);
    keep(noise, true, std::move(first));
    keep(other, !adds_up, std::move(second));
  }
  if (left > allowed && left > kLeastGain * whole) found.clear();
  return found;
}

std::vector<const Node*> rounding_nodes(const Plan& plan, const Value* value) {
  const Placement& placement = plan.placement;
  auto rounds = [&](const Value* other) {
    return other != nullptr && placement.quantizes(other) && placement.source(other) == value;
  };
  const KeptFloat none;
  std::vector<const Node*> nodes;
  for (Node* node : placement.nodes) {
    const auto inputs = node->inputs();
    // A matrix product writes float where nobody asks for integers.
    const bool writes = !node->is("MatMul") && !node->is("Gemm") &&
                        (rounds(fused_tail(node, none)->output()) || rounds(node->output()));
    if (writes || std::any_of(inputs.begin(), inputs.end(), rounds)) nodes.push_back(node);
  }
  return nodes;
}

}  // namespace dwindle::passes
