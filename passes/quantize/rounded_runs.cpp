#include "passes/quantize/rounded_runs.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "core/ops/fake_quantize.h"
#include "core/runtime/float_executor.h"
#include "passes/quantize/insert_qdq.h"
#include "passes/quantize/rewrite.h"

namespace dwindle::passes {
namespace {

// A copy of a model, with the weights of a plan rounded, though still in float, if wanted.
struct RoundedCopy {
  RoundedCopy(const Model& real, const Plan& plan, Weights weights) : model(real.clone(values)) {
    if (weights == Weights::kFloat) return;
    QdqInserter inserter;
    for (PlannedWeights planned : plan.weights) {
      planned.site.node = copy_of(*planned.site.node);
      write_rounded_weights(planned, inserter);
      if (quant_rule(*planned.site.node)->kind == QuantKind::kWeighted) {
        correct_bias(planned, {}, inserter);
      }
    }
    drop_unread_initializers(model);
  }
  Node* copy_of(const Node& node) const {
    const auto outputs = node.outputs();
    const auto made = std::ranges::find_if(outputs, [](const Value* v) { return v != nullptr; });
    return values.at(*made)->producer();
  }

  std::unordered_map<const Value*, Value*> values;  // by those of the model
  Model model;
};

class InFloatExecutor : public RoundedRuns {
 public:
  InFloatExecutor(const Model& model, const Plan& plan, Weights weights)
      : plan_(plan), copy_(model, plan, weights), executor_(copy_.model) {}

  void round(const std::vector<const Value*>& values) override {
    std::vector<const Value*> copies;
    params_.clear();
    for (const Value* value : values) {
      copies.push_back(copy_.values.at(value));
      params_.emplace(copies.back(), plan_.params.at(value));
    }
    const IntegerRange range = integer_range(plan_.activations);
    executor_.alter(copies, [this, range](const Value& value, Tensor& tensor) {
      tensor = fake_quantized(tensor, {params_.at(&value), range});
    });
  }
  TensorMap run(const TensorMap& feeds) override { return executor_.run(feeds); }

 private:
  const Plan& plan_;
  RoundedCopy copy_;
  std::unordered_map<const Value*, QuantParams> params_;  // by values of the copy
  FloatExecutor executor_;
};

class OfSwitchedCopy : public RoundedRuns {
 public:
  OfSwitchedCopy(const Model& model, const Plan& plan, const std::vector<const Value*>& values,
                 const MakeExecutor& executors, Weights weights)
      : copy_(model, plan, weights) {
    QdqInserter inserter;
    for (const Value* value : values) {
      if (value->graph() != model.graph.get()) continue;
      const Value* on =
          add_switch(*copy_.values.at(value), plan.params.at(value), plan.activations, inserter);
      switches_.emplace(value, on->name());
    }
    executor_ = executors(copy_.model);
  }

  void round(const std::vector<const Value*>& values) override {
    rounded_.clear();
    rounded_.insert(values.begin(), values.end());
  }
  TensorMap run(const TensorMap& feeds) override {
    TensorMap all = feeds;
    for (const auto& [value, name] : switches_) {
      all[name] = Tensor::scalar<bool>(rounded_.contains(value));
    }
    return executor_->run(all);
  }

 private:
  // The input that says whether `value` is rounded for those that read it.
  static Value* add_switch(Value& value, QuantParams params, DType dtype, QdqInserter& inserter) {
    Graph& graph = *value.graph();
    Value* on = graph.add_input(graph.add_value(graph.fresh_name(value.name() + "_rounded")));
    on->type = {DType::kBool, Shape{}, {}};
    Value* rounded = inserter.quantize(&value, params, dtype);
    Node* chosen =
        graph.add_node("Where", {on, nullptr, &value}, 1, rounded->producer()->next(), on->name());
    chosen->output()->type = rounded->type;
    graph.replace(rounded, chosen->output());
    chosen->set_input(1, rounded);
    return on;
  }

  RoundedCopy copy_;
  std::unique_ptr<Executor> executor_;
  std::unordered_map<const Value*, std::string> switches_;
  std::unordered_set<const Value*> rounded_;
};

}  // namespace

std::unique_ptr<RoundedRuns> runs_in_float_executor(const Model& model, const Plan& plan,
                                                    Weights weights) {
  return std::make_unique<InFloatExecutor>(model, plan, weights);
}

std::unique_ptr<RoundedRuns> runs_of_switched_copy(const Model& model, const Plan& plan,
                                                   const std::vector<const Value*>& values,
                                                   const MakeExecutor& executors, Weights weights) {
  return std::make_unique<OfSwitchedCopy>(model, plan, values, executors, weights);
}

}  // namespace dwindle::passes
