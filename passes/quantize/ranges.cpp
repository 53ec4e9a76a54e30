#include "passes/quantize/ranges.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/support/threads.h"

namespace dwindle::passes {
namespace {

// Twice the range is one bit less for the values in it.
constexpr float kMostStretch = 2;

constexpr float kLargestShare = 255.0f / 256;

bool is_integer_softmax(const Node* node, const Placement& placement) {
  return node != nullptr && node->is("Softmax") && placement.quantizes(node->input(0));
}

}  // namespace

RangeChooser::RangeChooser(const Placement& placement, const Statistics& statistics,
                           DType activations, bool joins_all)
    : placement_(placement), joins_all_(joins_all) {
  std::vector<std::pair<const Value*, const Observer*>> observers;
  for (const auto& [value, observer] : statistics.observers) {
    observers.emplace_back(value, observer.get());
  }
  std::vector<Range> ranges(observers.size());
  parallel_for(static_cast<int64_t>(ranges.size()), 1, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      ranges[i] = observers[i].second->range();
    }
  });
  for (size_t i = 0; i < ranges.size(); ++i) {
    const Value* value = observers[i].first;
    if (dtype_bits(activations) == 8 && is_integer_softmax(value->producer(), placement)) {
      ranges[i] = {0, std::max(ranges[i].high, kLargestShare)};
    }
    groups_.emplace(value, Group{ranges[i], ranges[i].high - ranges[i].low});
  }
  for (const Node* concat : placement.concats) join(*concat);
}

const Value* RangeChooser::root(const Value* value) {
  const Value* at = placement_.source(value);
  for (auto next = joined_.find(at); next != joined_.end(); next = joined_.find(at)) {
    at = next->second;
    // Halves the way for the next that asks (Tarjan and van Leeuwen 1984): where every layer joins
    // what all before it have made, the way is as long as the model.
    auto beyond = joined_.find(at);
    if (beyond != joined_.end()) next->second = beyond->second;
  }
  return at;
}

void RangeChooser::join(const Node& concat) {
  Group all{group(concat.input(0)).range, group(concat.input(0)).narrowest};
  for (const Value* input : concat.inputs()) {
    const Group& other = group(input);
    all.range = {std::min(all.range.low, other.range.low),
                 std::max(all.range.high, other.range.high)};
    all.narrowest = std::min(all.narrowest, other.narrowest);
  }
  const Value* output = concat.output();
  const float extent = all.range.high - all.range.low;
  if (joins_all_ || extent <= kMostStretch * all.narrowest) {
    for (const Value* input : concat.inputs()) {
      const Value* from = root(input);
      if (from != output) joined_[from] = output;
    }
    groups_[output] = all;
  } else {
    groups_[output] = {all.range, extent};
  }
}

}  // namespace dwindle::passes
