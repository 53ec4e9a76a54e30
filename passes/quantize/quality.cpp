#include "passes/quantize/quality.h"

#include <algorithm>
#include <unordered_map>

#include "core/data/open_dataset.h"
#include "core/quant/sqnr.h"
#include "core/support/error.h"

namespace dwindle::passes {
namespace {

// Looking at every value costs memory and time; a few samples show where the losses are.
constexpr int64_t kInspectedSamples = 8;

// A value of the float model and its form after quantization.
struct Pair {
  const Value* real;
  const Value* dequantized;
};

std::vector<Pair> paired_values(const Model& real, const Model& quantized) {
  std::vector<Pair> pairs;
  for (const Node* node : quantized.graph->nodes()) {
    if (!node->is("DequantizeLinear") || node->input(0)->producer() == nullptr) continue;
    const Node* q = node->input(0)->producer();
    if (!q->is("QuantizeLinear")) continue;
    // A graph output keeps its name behind the pair; other values in front of it.
    const Value* match = real.graph->find(node->output()->name());
    if (match == nullptr) match = real.graph->find(q->input(0)->name());
    if (match != nullptr) pairs.push_back({match, node->output()});
  }
  return pairs;
}

std::vector<NodeLoss> node_losses(const std::vector<Pair>& pairs,
                                  const std::unordered_map<const Value*, Sqnr>& sqnr) {
  std::vector<NodeLoss> losses;
  for (const Pair& pair : pairs) {
    const Node* node = pair.real->producer();
    if (node == nullptr || !sqnr.contains(pair.real)) continue;
    const double own = sqnr.at(pair.real).db();
    // Through fused nodes back to inputs that were quantized themselves.
    double inputs = 100;  // an exact input loses nothing; no more than this can be lost
    std::vector<const Node*> open = {node};
    for (int steps = 0; !open.empty() && steps < 16; ++steps) {
      const Node* at = open.back();
      open.pop_back();
      for (const Value* input : at->inputs()) {
        if (input == nullptr || input->constant() != nullptr) continue;
        auto known = sqnr.find(input);
        if (known != sqnr.end()) {
          inputs = std::min(inputs, known->second.db());
        } else if (input->producer() != nullptr) {
          open.push_back(input->producer());
        }
      }
    }
    losses.push_back(
        {node->name.empty() ? pair.real->name() : node->name, node->op_type, own, inputs - own});
  }
  std::stable_sort(losses.begin(), losses.end(),
                   [](const NodeLoss& a, const NodeLoss& b) { return a.lost_db > b.lost_db; });
  return losses;
}

// The samples of all feeds one by one, without labels.
std::vector<Feed> single_samples(const std::vector<Feed>& feeds) {
  std::vector<Feed> samples;
  for (const Feed& feed : feeds) {
    for (Feed& sample : split_samples(feed)) {
      sample.labels.reset();
      samples.push_back(std::move(sample));
    }
  }
  return samples;
}

}  // namespace

std::optional<double> Quality::top1_drop() const {
  std::optional<double> drop;
  for (const OutputAgreement& output : outputs) {
    if (output.top1) drop = std::max(drop.value_or(0), 1 - *output.top1);
  }
  return drop;
}

Quality measure_quality(const Model& original, const Model& simplified, const Model& quantized,
                        const std::vector<Feed>& feeds, size_t worst, Progress* progress) {
  Quality quality;
  const std::unique_ptr<Dataset> samples = dataset_from_feeds(single_samples(feeds));
  quality.samples = samples->size();
  quality.outputs = compare_models({{"float", &original, 0}, {"quantized", &quantized, 0}},
                                   *samples, {.latency_runs = 0}, progress)
                        .at(1)
                        .outputs;

  const std::vector<Pair> pairs = paired_values(simplified, quantized);
  std::vector<const Value*> real_values, quantized_values;
  std::unordered_map<const Value*, const Value*> real_of;
  for (const Pair& pair : pairs) {
    real_values.push_back(pair.real);
    quantized_values.push_back(pair.dequantized);
    real_of.emplace(pair.dequantized, pair.real);
  }
  std::unordered_map<const Value*, Tensor> seen;
  std::unordered_map<const Value*, Sqnr> sqnr;
  FloatExecutor float_run(simplified), quantized_run(quantized);
  float_run.watch(real_values,
                  [&](const Value& value, const Tensor& tensor) { seen[&value] = tensor; });
  quantized_run.watch(quantized_values, [&](const Value& value, const Tensor& tensor) {
    const Value* real_value = real_of.at(&value);
    auto reference = seen.find(real_value);
    if (reference == seen.end() || reference->second.size() != tensor.size()) return;
    sqnr[real_value].add(reference->second.values<float>(), tensor.values<float>());
    seen.erase(reference);
  });
  samples->rewind();
  for (int64_t i = 0; i < kInspectedSamples; ++i) {
    const std::optional<Feed> feed = samples->next();
    if (!feed) break;
    seen.clear();
    float_run.run(feed->inputs);
    quantized_run.run(feed->inputs);
  }
  quality.worst_nodes = node_losses(pairs, sqnr);
  if (quality.worst_nodes.size() > worst) quality.worst_nodes.resize(worst);
  return quality;
}

}  // namespace dwindle::passes
