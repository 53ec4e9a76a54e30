#include "passes/quantize/sensitivity.h"

#include <algorithm>
#include <cmath>
#include <queue>
#include <unordered_set>
#include <utility>

#include "passes/quantize/rounding_cost.h"

namespace dwindle::passes {
namespace {

// A value stands out where it alone makes this share of the noise that can be borne in all.
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
// A value that costs most only beside others must bring so much of it.
constexpr double kLeastJump = 0.5;

// Other samples than these few may be harmed more: where something has to be done, this share of
// what values may cost is aimed at.
constexpr double kAim = 0.5;

using Values = RoundingCost::Values;

struct Part {
  Cost cost;
  bool measured;  // or told from what the other half leaves of the whole
  Values values;
  bool operator<(const Part& other) const { return cost.share < other.cost.share; }
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

Values first_of(const Values& values, size_t count) {
  return {values.begin(), values.begin() + static_cast<ptrdiff_t>(count)};
}

Values without(const Values& values, const std::unordered_set<const Value*>& gone) {
  Values left;
  std::copy_if(values.begin(), values.end(), std::back_inserter(left),
               [&](const Value* value) { return !gone.contains(value); });
  return left;
}

// The value of `values`, which cost `whole`, that brings most of it once those in front of it are
// rounded, too; null where none does. Of the two squares of a magnitude each may be rounded to 0 if
// the other is not.
const Value* joint_value(RoundingCost& cost, const Values& values, double whole) {
  size_t below = 0, above = values.size();  // so many of them cost less than half, and more
  double cost_below = 0, cost_above = whole;
  while (above - below > 1) {
    const size_t middle = below + (above - below) / 2;
    const double some = cost.rough(first_of(values, middle)).share;
    const bool less = some < whole / 2;
    (less ? below : above) = middle;
    (less ? cost_below : cost_above) = some;
  }
  return cost_above - cost_below < kLeastJump * whole ? nullptr : values[below];
}

struct Found {
  std::vector<SensitiveValue> values;  // to stay in float
  Values rest;                         // and the others
};

// Noises add up, nearly. So the noisiest part is cut in two again and again until one value is
// left, which is taken out, until the rest is quiet enough. For the same reason one half tells
// about the other, though no value is blamed before it was rounded alone. Where they do not add up
// (what comes out of a Concat is no noisier than what goes in, and neither is), what is left when
// no part stands out is cut again; and where none does then, a value is looked for that makes noise
// beside others.
Found search(RoundingCost& cost, const Values& all) {
  std::vector<SensitiveValue> found;
  std::unordered_set<const Value*> taken;
  std::priority_queue<Part> parts;
  Cost left = cost.whole();
  double at_last_check = left.share;
  // Whether going on is worth while.
  const auto take = [&](SensitiveValue value) {
    found.push_back(value);
    taken.insert(value.value);
    const Values rest = without(all, taken);
    left = cost.rough(rest);
    if (left.share <= kAim) left = cost.of(rest);
    if (found.size() % kPatience != 0) return true;
    const double before = std::exchange(at_last_check, left.share);
    return left.share <= (1 - kLeastProgress) * before;
  };
  parts.push({cost.whole(), true, all});
  size_t at_last_start = 0;
  const int most = cost.asked() + most_runs(all.size());
  while (left.share > kAim && cost.asked() < most) {
    if (parts.empty()) {
      const Values rest = without(all, taken);
      if (found.size() == at_last_start) {
        const Value* joint = joint_value(cost, rest, left.share);
        if (joint == nullptr || !take({joint, std::nullopt})) break;
        continue;
      }
      at_last_start = found.size();
      parts.push({left, true, rest});
    }
    const Part part = parts.top();
    parts.pop();
    const auto keep = [&](Cost of, bool measured, Values values) {
      if (of.share > kLeastShare) parts.push({of, measured, std::move(values)});
    };
    if (part.values.size() == 1) {
      if (!part.measured) {
        keep(cost.rough(part.values), true, part.values);
        continue;
      }
      if (!take({part.values[0], -10 * std::log10(part.cost.noise)})) break;
      continue;
    }
    Values first = first_of(part.values, part.values.size() / 2);
    Values second(part.values.begin() + std::ssize(first), part.values.end());
    const Cost of_first = cost.rough(first);
    // More than the whole: these noises cancel each other out.
    const bool adds_up = of_first.share <= part.cost.share;
    const Cost of_second = adds_up ? Cost{part.cost.share - of_first.share, 0} : cost.rough(second);
    keep(of_first, true, std::move(first));
    keep(of_second, !adds_up, std::move(second));
  }
  return {std::move(found), without(all, taken)};
}

}  // namespace

Sensitivity sensitive_values(const Model& model, const Plan& plan, const std::vector<Feed>& feeds,
                             double least_db, const MakeExecutor& executors) {
  Sensitivity result;
  const Values all = rounded_values(plan);
  if (all.empty() || feeds.empty()) return result;
  RoundingCost cost(model, plan, all, feeds, std::pow(10.0, -least_db / 10), executors);
  if (!cost.weights_leave_room()) {
    result.weights_db = -10 * std::log10(cost.weights_noise());
    result.enough = false;
  }
  const double whole = cost.whole().share;
  if (whole <= 1) return result;
  Found found = search(cost, all);
  double left = cost.of(found.rest).share;
  if (left > 1) {
    // Where decisions are close, others fall beside weights in float, and other values turn them.
    cost.look_beside(Weights::kFloat);
    Found other = search(cost, all);
    cost.look_beside(Weights::kRounded);
    const double left_by_other = cost.of(other.rest).share;
    if (left_by_other < left) {
      found = std::move(other);
      left = left_by_other;
    }
  }
  result.enough &= left <= 1;
  if (left <= 1 || left <= (1 - kLeastGain) * whole) result.values = std::move(found.values);
  return result;
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
