#include "core/runtime/float_executor.h"

#include "core/runtime/plan.h"
#include "core/support/error.h"

namespace dwindle {

class FloatExecutor::Plan {
 public:
  explicit Plan(const Model& model) : graph_(*model.graph, shared_) {
    shared_.model = &model;
    graph_.prepare(nullptr);
  }

  PlanShared shared_;
  GraphPlan graph_;
};

FloatExecutor::FloatExecutor(const Model& model) : plan_(std::make_unique<Plan>(model)) {}
FloatExecutor::~FloatExecutor() = default;
FloatExecutor::FloatExecutor(FloatExecutor&&) noexcept = default;

void check_feed(const Value& value, const Tensor& tensor) {
  const ValueType& type = value.type;
  const std::string got = std::string(dtype_name(tensor.dtype())) + to_string(tensor.shape());
  const std::string wants =
      "input '" + value.name() + "' wants " + to_string(type) + ", got " + got;
  if (type.dtype != DType::kUndefined && type.dtype != tensor.dtype()) {
    throw BadData(wants + "; convert the data to " + std::string(dtype_name(type.dtype)));
  }
  if (!type.shape) return;
  bool fits = type.shape->size() == tensor.shape().size();
  for (size_t i = 0; fits && i < tensor.shape().size(); ++i) {
    const Dim& dim = (*type.shape)[i];
    fits = !dim.known() || dim.extent == tensor.shape()[i];
  }
  if (!fits) throw BadData(wants);
}

TensorMap FloatExecutor::run(const TensorMap& feeds) {
  const Graph& graph = plan_->graph_.graph();
  std::vector<Tensor> inputs;
  size_t used = 0;
  for (const Value* value : graph.inputs()) {
    auto it = feeds.find(value->name());
    if (it != feeds.end()) {
      check_feed(*value, it->second);
      inputs.push_back(it->second);
      ++used;
    } else if (value->initializer() != nullptr) {
      inputs.emplace_back();
    } else {
      throw BadData("input '" + value->name() + "' (" + to_string(value->type) + ") is not fed");
    }
  }
  if (used < feeds.size()) {
    for (const auto& [name, tensor] : feeds) {
      const Value* value = graph.find(name);
      if (value != nullptr && value->is_graph_input()) continue;
      std::string known;
      for (const Value* input : graph.inputs())
        known += (known.empty() ? "" : ", ") + input->name();
      throw BadData("the model has no input '" + name + "'; its inputs are " + known);
    }
  }
  std::vector<Tensor> outputs = plan_->graph_.run(std::move(inputs), nullptr);
  TensorMap results;
  for (size_t i = 0; i < outputs.size(); ++i) {
    results[graph.outputs()[i]->name()] = std::move(outputs[i]);
  }
  return results;
}

void FloatExecutor::watch(const std::vector<const Value*>& values, Watcher watcher) {
  plan_->shared_.watched = {values.begin(), values.end()};
  plan_->shared_.watcher = std::move(watcher);
}

}  // namespace dwindle
