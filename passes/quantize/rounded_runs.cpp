#include "passes/quantize/rounded_runs.h"

#include <unordered_map>
#include <unordered_set>

#include "core/ops/fake_quantize.h"
#include "core/runtime/float_executor.h"
#include "passes/quantize/insert_qdq.h"

namespace dwindle::passes {
namespace {

class InFloatExecutor : public RoundedRuns {
 public:
  InFloatExecutor(const Model& model, const Plan& plan) : plan_(plan), executor_(model) {}

  void round(const std::vector<const Value*>& values) override {
    const IntegerRange range = integer_range(plan_.activations);
    executor_.alter(values, [this, range](const Value& value, Tensor& tensor) {
      tensor = fake_quantized(tensor, {plan_.params.at(&value), range});
    });
  }
  TensorMap run(const TensorMap& feeds) override { return executor_.run(feeds); }

 private:
  const Plan& plan_;
  FloatExecutor executor_;
};

class OfSwitchedCopy : public RoundedRuns {
 public:
  OfSwitchedCopy(const Model& model, const Plan& plan, const std::vector<const Value*>& values,
                 const MakeExecutor& executors)
      : copy_(model.clone()) {
    QdqInserter inserter;
    for (const Value* value : values) {
      if (value->graph() != model.graph.get()) continue;
      const Value* on = add_switch(*copy_.graph->find(value->name()), plan.params.at(value),
                                   plan.activations, inserter);
      switches_.emplace(value, on->name());
    }
    executor_ = executors(copy_);
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

  Model copy_;
  std::unique_ptr<Executor> executor_;
  std::unordered_map<const Value*, std::string> switches_;
  std::unordered_set<const Value*> rounded_;
};

}  // namespace

std::unique_ptr<RoundedRuns> runs_in_float_executor(const Model& model, const Plan& plan) {
  return std::make_unique<InFloatExecutor>(model, plan);
}

std::unique_ptr<RoundedRuns> runs_of_switched_copy(const Model& model, const Plan& plan,
                                                   const std::vector<const Value*>& values,
                                                   const MakeExecutor& executors) {
  return std::make_unique<OfSwitchedCopy>(model, plan, values, executors);
}

}  // namespace dwindle::passes
