#include "passes/quantize/rounding_cost.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/support/error.h"

namespace dwindle::passes {
namespace {

// Where weights make more of the noise that is allowed, no values leave the outputs enough.
constexpr double kMostOfWeights = 0.8;
// So many times the noise of such weights is what values must make to be worth a search: less of it
// would leave the outputs much the same.
constexpr double kWorthSearching = 3;
// Noise by signal of an output that weights have taken already: 6 dB are left.
constexpr double kLost = 0.25;

}  // namespace

void RoundingCost::Power::add(const Tensor& real, const Tensor& other) {
  if (!is_floating(real.dtype()) || real.shape() != other.shape()) return;
  const std::vector<float> a = to_floats(real), b = to_floats(other);
  for (size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i])) continue;
    const double error = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    signal += static_cast<double>(a[i]) * static_cast<double>(a[i]);
    noise += std::isfinite(error) ? error * error : std::numeric_limits<float>::max();
  }
}

RoundingCost::RoundingCost(const Model& model, const Plan& plan, const Values& values,
                           const std::vector<Feed>& feeds, double allowed,
                           const MakeExecutor& executors)
    : model_(model),
      plan_(plan),
      values_(values),
      feeds_(feeds),
      allowed_(allowed),
      executors_(executors) {
  try {
    run_real();
    open_view(Weights::kRounded);
  } catch (const Error& error) {
    throw Unsupported(error.what());
  }
  choose_bearable();
  choose_rough_feed();
}

void RoundingCost::look_beside(Weights weights) {
  if (weights == Weights::kFloat && float_.runs == nullptr) open_view(weights);
  weights_ = weights;
  choose_rough_feed();
}

void RoundingCost::open_view(Weights weights) {
  weights_ = weights;
  // Where the operator table ends, be it in the first run, another executor takes a copy of the
  // model.
  try {
    view().runs = runs_in_float_executor(model_, plan_, weights);
    view().of_all = run_all(values_);
  } catch (const Unsupported&) {
    view().runs = runs_of_switched_copy(model_, plan_, values_, executors_, weights);
    view().of_all = run_all(values_);
  }
}

Cost RoundingCost::of(const Values& values) {
  std::vector<Powers> feeds = run_all(values);
  for (size_t i = 0; i < feeds.size(); ++i) feeds[i] = beyond_weights(std::move(feeds[i]), i);
  return worst(sum(feeds));
}

Cost RoundingCost::rough(const Values& values) {
  ++asked_;
  view().runs->round(values);
  const Cost cost = worst(beyond_weights(run(rough_feed_), rough_feed_));
  return {rough_scale_ * cost.share, rough_scale_ * cost.noise};
}

void RoundingCost::run_real() {
  const std::unique_ptr<Executor> executor = executors_(model_);
  for (const Feed& feed : feeds_) real_.push_back(executor->run(feed.inputs));
}

bool RoundingCost::weights_leave_room() const {
  return weights_noise() <= kMostOfWeights * allowed_;
}

double RoundingCost::weights_noise() const {
  double most = 0;
  for (const auto& [name, power] : sum(rounded_.of_none)) most = std::max(most, power.ratio());
  return most;
}

RoundingCost::Powers RoundingCost::run(size_t feed) {
  Powers outputs;
  for (const auto& [name, tensor] : view().runs->run(feeds_[feed].inputs)) {
    outputs[name].add(real_[feed].at(name), tensor);
  }
  return outputs;
}

std::vector<RoundingCost::Powers> RoundingCost::run_all(const Values& values) {
  ++asked_;
  view().runs->round(values);
  std::vector<Powers> feeds;
  for (size_t i = 0; i < feeds_.size(); ++i) feeds.push_back(run(i));
  return feeds;
}

RoundingCost::Powers RoundingCost::sum(const std::vector<Powers>& feeds) {
  Powers all;
  for (const Powers& outputs : feeds) {
    for (const auto& [name, power] : outputs) {
      all[name].signal += power.signal;
      all[name].noise += power.noise;
    }
  }
  return all;
}

RoundingCost::Powers RoundingCost::beyond_weights(Powers outputs, size_t feed) const {
  const std::vector<Powers>& weights = view().of_none;
  if (weights.empty()) return outputs;
  for (auto& [name, power] : outputs) {
    power.noise = std::max(0.0, power.noise - weights[feed].at(name).noise);
  }
  return outputs;
}

Cost RoundingCost::worst(const Powers& outputs) const {
  Cost most;
  for (const auto& [name, power] : outputs) {
    const auto bearable = bearable_.find(name);
    const double share = bearable == bearable_.end() ? 0 : power.ratio() / bearable->second;
    if (share > most.share) most = {share, power.ratio()};
  }
  return most;
}

void RoundingCost::choose_bearable() {
  const Powers whole = sum(rounded_.of_all);
  const auto is_noisy = [&](const auto& output) { return output.second.ratio() > allowed_; };
  if (std::ranges::none_of(whole, is_noisy)) return;
  rounded_.of_none = run_all({});
  for (const auto& [name, weights] : sum(rounded_.of_none)) {
    const double noise = weights.ratio();
    if (noise <= kMostOfWeights * allowed_) {
      bearable_[name] = allowed_ - noise;
    } else if (noise < kLost && whole.at(name).ratio() - noise > kWorthSearching * noise) {
      bearable_[name] = noise;
    }
  }
}

void RoundingCost::choose_rough_feed() {
  if (bearable_.empty()) return;
  const std::vector<Powers>& whole = view().of_all;
  std::vector<Powers> feeds;
  for (size_t i = 0; i < whole.size(); ++i) feeds.push_back(beyond_weights(whole[i], i));
  whole_ = worst(sum(feeds));
  const auto noise = [&](const Powers& outputs) {
    double most = 0;
    for (const auto& [name, power] : outputs)
      most = std::max(most, bearable_.contains(name) ? power.noise : 0);
    return most;
  };
  rough_feed_ = static_cast<size_t>(std::ranges::max_element(feeds, {}, noise) - feeds.begin());
  const Cost rough = worst(feeds[rough_feed_]);
  rough_scale_ = rough.share > 0 ? whole_.share / rough.share : 1;
}

}  // namespace dwindle::passes
