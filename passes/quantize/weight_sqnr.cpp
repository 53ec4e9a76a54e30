#include "passes/quantize/weight_sqnr.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "passes/node_names.h"

namespace dwindle::passes {
namespace {

constexpr size_t kNodesTold = 5;

std::string decibels(double db) {
  return std::isinf(db) && db > 0 ? "equal" : fmt::format("{:.1f} dB", db);
}

}  // namespace

void WeightSqnr::add(const Node& node, const WeightLoss& loss) {
  total_.add(loss);
  nodes_.push_back({handle(node), loss.sqnr_db()});
}

std::string WeightSqnr::summary() const {
  std::vector<NodeSqnr> worst = nodes_;
  std::stable_sort(worst.begin(), worst.end(),
                   [](const NodeSqnr& a, const NodeSqnr& b) { return a.db < b.db; });
  std::string text = "SQNR of the weights: " + decibels(total_.sqnr_db());
  for (size_t i = 0; i < std::min(kNodesTold, worst.size()); ++i) {
    text += fmt::format("{}'{}' {}", i == 0 ? "; least of " : ", ", worst[i].name,
                        decibels(worst[i].db));
  }
  return text;
}

}  // namespace dwindle::passes
