#include "passes/quantize/quality.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "core/quant/sqnr.h"
#include "core/support/error.h"
#include "core/support/threads.h"
#include "passes/node_names.h"
#include "passes/quantize/quant_rules.h"

namespace dwindle::passes {
namespace {

// Looking at every value costs memory and time; a few samples show where the losses are.
constexpr int64_t kInspectedSamples = 4;

// A value of the float model and its form after quantization.
struct Pair {
  const Value* real;
  const Value* dequantized;
  const Node* rounded_for;  // reads it in integers; null where it comes from integers itself
};

bool is_dequantized(const Value* value) {
  return value != nullptr && value->producer() != nullptr &&
         value->producer()->is("DequantizeLinear");
}

// As they are, or turned.
bool is_constant(const Value* value) {
  const Node* made = value->producer();
  return value->constant() != nullptr ||
         (made != nullptr && made->is("Transpose") && made->input(0)->constant() != nullptr);
}

bool has_integer_weights(const Node& node) {
  return std::ranges::any_of(node.inputs(), [](const Value* input) {
    return is_dequantized(input) && is_constant(input->producer()->input(0));
  });
}

// Whether `node` of a quantized model works on integers. What lies behind a node that reads them
// (a Relu, the Add of a bias) belongs to it.
bool in_integers(const Node* node) {
  for (int steps = 0; node != nullptr && steps < 3; ++steps) {
    const QuantRule* rule = quant_rule(*node);
    if (rule == nullptr) return false;
    if (has_integer_weights(*node)) return true;
    if (rule->kind == QuantKind::kHoldsWeights) return false;
    if (rule->kind == QuantKind::kWeighted) {
      return is_dequantized(node->input(0)) && is_dequantized(node->input(1));
    }
    size_t data = 0, integers = 0;
    for (size_t i = 0; i < node->num_inputs(); ++i) {
      if (!rule->is_data(i)) continue;
      ++data;
      integers += is_dequantized(node->input(i)) ? 1 : 0;
    }
    if (data > 0 && integers == data) return true;
    const bool tail = node->is("Relu") || node->is("Clip") || node->is("Add");
    const Value* before = !tail || node->input(0) == nullptr ? nullptr : node->input(0);
    if (before != nullptr && before->constant() != nullptr) before = node->input(1);
    node = before == nullptr ? nullptr : before->producer();
  }
  return false;
}

// Rows of bytes are looked up and multiplied by their scales: Gather, Cast, Mul.
bool is_lookup(const Node* real, const Node* quantized) {
  return (real->is("Gather") || real->is("GatherND") || real->is("Slice")) && quantized->is("Mul");
}

std::vector<Pair> paired_values(const Model& real, const Model& quantized) {
  std::vector<Pair> pairs;
  for (const Node* node : quantized.graph->nodes()) {
    if (!node->is("DequantizeLinear") || node->input(0)->producer() == nullptr) continue;
    const Node* q = node->input(0)->producer();
    if (!q->is("QuantizeLinear")) continue;
    // A graph output keeps its name behind the pair; other values in front of it.
    const Value* match = real.graph->find(node->output()->name());
    if (match == nullptr) match = real.graph->find(q->input(0)->name());
    if (match == nullptr) continue;
    const Node* made = q->input(0)->producer();
    const bool lookup =
        made != nullptr && match->producer() != nullptr && is_lookup(match->producer(), made);
    const auto& readers = node->output()->uses();
    const bool rounded = !lookup && !in_integers(made) && !readers.empty();
    pairs.push_back({match, node->output(), rounded ? readers.front().node : nullptr});
  }
  return pairs;
}

// What has more is as good as exact: images of bytes at a scale that fits them.
constexpr double kMostDb = 100;

// The loss to order by: an exact input counts as one of kMostDb.
double rank_of(const NodeLoss& loss) {
  return loss.lost_db ? *loss.lost_db : kMostDb - loss.sqnr_db;
}

std::vector<NodeLoss> node_losses(const std::vector<Pair>& pairs,
                                  const std::unordered_map<const Value*, Sqnr>& sqnr) {
  std::vector<NodeLoss> losses;
  for (const Pair& pair : pairs) {
    const Node* node = pair.real->producer();
    if (node == nullptr || !sqnr.contains(pair.real)) continue;
    const double own = sqnr.at(pair.real).db();
    // Nothing is lost where it is exact, and nothing known where it is no number.
    if (std::isnan(own) || own == HUGE_VAL) continue;
    // Through fused nodes back to inputs that were quantized themselves.
    double inputs = HUGE_VAL;
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
    NodeLoss& loss = losses.emplace_back();
    loss.node = node->name.empty() ? pair.real->name() : node->name;
    loss.op = node->op_type;
    loss.sqnr_db = own;
    if (std::isfinite(inputs) && inputs < kMostDb) loss.lost_db = inputs - own;
    if (pair.rounded_for != nullptr) loss.rounded_for = handle(*pair.rounded_for);
  }
  std::stable_sort(losses.begin(), losses.end(),
                   [](const NodeLoss& a, const NodeLoss& b) { return rank_of(a) > rank_of(b); });
  return losses;
}

// Runs the float and the quantized model, and compares the values that are in both.
class Inspector {
 public:
  Inspector(const Model& real, const Model& quantized, const MakeExecutor& executors)
      : pairs_(paired_values(real, quantized)),
        real_run_(executors(real)),
        quantized_run_(executors(quantized)) {
    std::vector<const Value*> real_values, quantized_values;
    for (const Pair& pair : pairs_) {
      real_values.push_back(pair.real);
      quantized_values.push_back(pair.dequantized);
      real_of_.emplace(pair.dequantized, pair.real);
    }
    real_run_->watch(real_values,
                     [&](const Value& value, const Tensor& tensor) { seen_[&value] = tensor; });
    quantized_run_->watch(quantized_values, [&](const Value& value, const Tensor& tensor) {
      const Value* real_value = real_of_.at(&value);
      auto reference = seen_.find(real_value);
      if (reference == seen_.end() || reference->second.size() != tensor.size()) return;
      sqnr_[real_value].add(reference->second.values<float>(), tensor.values<float>());
      seen_.erase(reference);
    });
  }

  // The outputs of the quantized model. Its values are compared where `inspect`.
  TensorMap run(const Feed& feed, bool inspect) {
    seen_.clear();
    if (inspect) real_run_->run(feed.inputs);
    return quantized_run_->run(feed.inputs);
  }

  std::vector<NodeLoss> losses() const { return node_losses(pairs_, sqnr_); }

 private:
  std::vector<Pair> pairs_;
  std::unique_ptr<Executor> real_run_, quantized_run_;
  std::unordered_map<const Value*, const Value*> real_of_;
  std::unordered_map<const Value*, Tensor> seen_;
  std::unordered_map<const Value*, Sqnr> sqnr_;
};

}  // namespace

std::optional<double> Quality::top1_drop() const {
  std::optional<double> drop;
  for (const OutputAgreement& output : outputs) {
    if (output.top1) drop = std::max(drop.value_or(0), 1 - *output.top1);
  }
  return drop;
}

Quality measure_quality(const Model& original, const Model& simplified, const Model& quantized,
                        const std::vector<Feed>& feeds, size_t worst, Progress* progress,
                        const MakeExecutor& executors) {
  Quality quality;
  const std::unique_ptr<Executor> reference = executors(original);
  Inspector inspector(simplified, quantized, executors);
  OutputComparison comparison;
  std::vector<Feed> samples;
  for (const Feed& feed : feeds) {
    for (Feed& sample : split_samples(feed)) samples.push_back(std::move(sample));
  }
  int64_t inspected = 0;
  for (const Feed& sample : samples) {
    const int64_t batch = batch_of(sample);
    const bool inspect = inspected < kInspectedSamples;
    if (inspect) inspected += sample.samples;
    TensorMap expected, got;
    // Small operations leave threads idle; two models seldom do at once.
    run_together([&] { expected = reference->run(sample.inputs); },
                 [&] { got = inspector.run(sample, inspect); });
    for (auto* outputs : {&expected, &got}) {
      for (auto& [name, tensor] : *outputs) tensor = first_samples(tensor, sample.samples, batch);
    }
    comparison.add(expected, got);
    quality.samples += sample.samples;
    if (progress != nullptr) {
      progress->update("comparing", static_cast<size_t>(&sample - samples.data()) + 1,
                       samples.size());
    }
  }
  if (quality.samples == 0) throw BadData("the data has no samples");
  quality.outputs = comparison.result();
  quality.worst_nodes = inspector.losses();
  if (quality.worst_nodes.size() > worst) quality.worst_nodes.resize(worst);
  return quality;
}

}  // namespace dwindle::passes
