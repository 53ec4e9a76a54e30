#include "passes/quantize/node_sqnr.h"

#include <cmath>
#include <map>

#include "core/ops/fake_quantize.h"
#include "core/quant/sqnr.h"
#include "core/runtime/run_node.h"

namespace dwindle::passes {
namespace {

class NodeProbe {
 public:
  NodeProbe(const Model& model, const Plan& plan, const MakeExecutor& executors)
      : model_(model), plan_(plan), executor_(executors(model)) {
    for (const PlannedWeights& planned : plan.weights) {
      weights_[planned.site.node] = &planned;
      make_variable(planned.site.weights());
      if (const Value* bias = bias_input(planned)) make_variable(bias);
    }
    for (const Value* value : plan.placement.values) {
      if (value->constant() != nullptr) make_variable(value);
    }
    copy_nodes(*model.graph, stand_ins_, copies_);
    std::vector<const Value*> watched;
    auto watch = [&](const Value* value) {
      if (value == nullptr || value->constant() != nullptr) return;
      if (pending_[value]++ == 0) watched.push_back(value);
    };
    for (const Node* node : plan.placement.nodes) {
      for (const Value* input : node->inputs()) watch(input);
      watch(node->output());
      if (node->output() != nullptr) nodes_[node->output()] = node;
    }
    executor_->watch(watched, [this](const Value& value, const Tensor& tensor) {
      seen_[&value] = tensor;
      auto node = nodes_.find(&value);
      if (node != nodes_.end()) probe(*node->second, tensor);
    });
  }

  void run(const Feed& feed) {
    left_ = pending_;
    seen_.clear();
    executor_->run(feed.inputs);
  }

  std::unordered_map<const Node*, double> results() const {
    std::unordered_map<const Node*, double> found;
    for (const auto& [node, sqnr] : sqnr_) {
      if (!std::isnan(sqnr.db()) && !(std::isinf(sqnr.db()) && sqnr.db() < 0)) {
        found.emplace(node, sqnr.db());
      }
    }
    return found;
  }

 private:
  // The constant bias that is rounded; null where there is none.
  static const Value* bias_input(const PlannedWeights& planned) {
    const Node& node = *planned.site.node;
    const int input = quant_rule(node)->bias_input;
    const Value* bias = input < 0 ? nullptr : node.input(static_cast<size_t>(input));
    const bool as_given = bias != nullptr && planned.real.bias && bias->constant() != nullptr &&
                          bias->constant()->identical(*planned.real.bias);
    return as_given && planned.quantized.scales.rank() <= 1 ? bias : nullptr;
  }

  void make_variable(const Value* constant) {
    if (copies_.contains(constant)) return;
    Value* variable = stand_ins_.add_value(stand_ins_.fresh_name(constant->name()));
    variable->type = constant->type;
    copies_.emplace(constant, variable);
  }

  void probe(const Node& node, const Tensor& real) {
    std::vector<Tensor> inputs;
    for (size_t i = 0; i < node.num_inputs(); ++i) inputs.push_back(quantized_input(node, i));
    const Node& stand_in = *copies_.at(node.output())->producer();
    const auto outputs = run_node(stand_in, opset_of(model_, node), inputs);
    if (outputs && !outputs->empty() && (*outputs)[0].size() == real.size() &&
        (*outputs)[0].dtype() == DType::kFloat) {
      sqnr_[&node].add(real.values<float>(), (*outputs)[0].values<float>());
    }
    // The body of a loop reads the values around it once an iteration: these are kept.
    for (const Value* input : node.inputs()) {
      if (input != nullptr && input->graph() == node.graph()) release(input);
    }
    release(node.output());
  }

  Tensor quantized_input(const Node& node, size_t i) {
    const Value* value = node.input(i);
    if (value == nullptr) return {};
    const auto weights = weights_.find(&node);
    if (weights != weights_.end() && weights->second->site.input == static_cast<int>(i)) {
      const PlannedWeights& planned = *weights->second;
      // Factors of the node are in the planned weights and would be applied twice.
      const Tensor& given = *planned.site.weights()->constant();
      const bool as_given = planned.real.weights.identical(given);
      const auto& [integers, scales] = planned.quantized;
      return as_read(planned.site,
                     as_given ? dequantize_weights(integers, scales, planned.format) : given);
    }
    if (weights != weights_.end() && value == bias_input(*weights->second)) {
      const PlannedWeights& planned = *weights->second;
      return rounded_bias(*planned.real.bias, planned.lost_means, planned.quantized.scales,
                          plan_.params.at(node.input(0)).scale);
    }
    const Tensor real = value->constant() != nullptr ? *value->constant() : seen_[value];
    if (!plan_.placement.quantizes(value)) return real;
    return fake_quantized(real, {plan_.params.at(value), integer_range(plan_.activations)});
  }

  // Weights of a site in the form in which its node reads them.
  Tensor as_read(const WeightSite& site, Tensor weights) const {
    const Node* transpose = site.transpose();
    if (transpose == nullptr) return weights;
    const Node& stand_in = *copies_.at(transpose->output())->producer();
    return (*run_node(stand_in, opset_of(model_, *transpose), {std::move(weights)}))[0];
  }

  void release(const Value* value) {
    auto left = left_.find(value);
    if (left != left_.end() && --left->second == 0) seen_.erase(value);
  }

  const Model& model_;
  const Plan& plan_;
  std::unique_ptr<Executor> executor_;
  // The nodes with variables in place of weights: kernels pack constants once and then take no
  // others.
  Graph stand_ins_;
  std::unordered_map<const Value*, Value*> copies_;
  std::unordered_map<const Node*, const PlannedWeights*> weights_;
  std::unordered_map<const Value*, const Node*> nodes_;   // by their first output
  std::unordered_map<const Value*, int> pending_, left_;  // uses to come
  std::unordered_map<const Value*, Tensor> seen_;
  std::unordered_map<const Node*, Sqnr> sqnr_;
};

}  // namespace

std::unordered_map<const Node*, double> node_sqnr(const Model& model, const Plan& plan,
                                                  const std::vector<Feed>& feeds,
                                                  const MakeExecutor& executors) {
  NodeProbe probe(model, plan, executors);
  for (const Feed& feed : feeds) probe.run(feed);
  return probe.results();
}

}  // namespace dwindle::passes
