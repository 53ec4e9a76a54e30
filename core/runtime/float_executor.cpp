#include "core/runtime/float_executor.h"

#include <unordered_map>

#include "core/ir/inline_functions.h"
#include "core/ops/half.h"
#include "core/runtime/plan.h"
#include "core/support/error.h"

namespace dwindle {

class FloatExecutor::Plan {
 public:
  explicit Plan(const Model& model)
      : inlined_(without_functions(model)), graph_(*running(model).graph, shared_) {
    shared_.model = &running(model);
    check_all_tensors(model);
    graph_.prepare(nullptr);
  }

  void alter(const std::vector<const Value*>& values, Alterer alterer) {
    shared_.watched.clear();
    watched_as_.clear();
    for (const Value* value : values) {
      const Value* running = running_value(value);
      if (running == nullptr) continue;
      shared_.watched.insert(running);
      watched_as_.emplace(running, value);
    }
    shared_.alterer = [this, alterer = std::move(alterer)](const Value& value, Tensor& tensor) {
      alterer(*watched_as_.at(&value), tensor);
    };
  }

 private:
  // Kernels are made for nodes of graphs alone: calls of local functions are inlined in a copy.
  std::unique_ptr<Model> without_functions(const Model& model) {
    if (model.functions.empty()) return nullptr;
    auto copy = std::make_unique<Model>(model.clone());
    pair_graphs(*model.graph, *copy->graph);
    shared_.versions = inline_functions(*copy).versions;
    return copy;
  }
  void pair_graphs(const Graph& from, const Graph& to) {
    copies_.emplace(&from, &to);
    auto copy = to.nodes().begin();
    for (const Node* node : from.nodes()) {
      const auto nested = node->nested_graphs(), nested_copies = (*copy)->nested_graphs();
      for (size_t i = 0; i < nested.size(); ++i) pair_graphs(*nested[i], *nested_copies[i]);
      ++copy;
    }
  }
  const Model& running(const Model& model) const { return inlined_ ? *inlined_ : model; }
  // The value of the running model that stands for one of the caller's; inlining keeps names.
  const Value* running_value(const Value* value) const {
    if (!inlined_) return value;
    auto it = copies_.find(value->graph());
    return it == copies_.end() ? nullptr : it->second->find(value->name());
  }

  std::unordered_map<const Value*, const Value*> watched_as_;

 public:
  PlanShared shared_;

 private:  // made in this order
  std::unordered_map<const Graph*, const Graph*> copies_;
  std::unique_ptr<Model> inlined_;

 public:
  GraphPlan graph_;
};

FloatExecutor::FloatExecutor(const Model& model) : plan_(std::make_unique<Plan>(model)) {}
FloatExecutor::~FloatExecutor() = default;
FloatExecutor::FloatExecutor(FloatExecutor&&) noexcept = default;

void check_all_tensors(const Model& model) {
  const auto check = [](const char* what, const Value& value) {
    if (!value.type.is_tensor()) refuse_no_tensor(what, value.name());
  };
  for (const Value* input : model.graph->inputs()) check("input", *input);
  for (const Value* output : model.graph->outputs()) check("output", *output);
}

void refuse_no_tensor(const std::string& what, const std::string& name) {
  throw Unsupported(what + " '" + name +
                    "' of the model is a sequence, an optional or a map; running a model takes "
                    "and gives tensors alone");
}

std::unique_ptr<Executor> make_float_executor(const Model& model) {
  return std::make_unique<FloatExecutor>(model);
}

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
  std::vector<Held> inputs;
  size_t used = 0;
  for (const Value* value : graph.inputs()) {
    auto it = feeds.find(value->name());
    if (it != feeds.end()) {
      Tensor tensor = it->second;
      // Numpy has no bfloat16 of its own.
      if (value->type.dtype == DType::kBfloat16 && tensor.dtype() == DType::kFloat) {
        tensor = float_to_half(tensor, DType::kBfloat16);
      }
      check_feed(*value, tensor);
      inputs.push_back(std::move(tensor));
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
      // What quantize has made of an input with a default.
      const bool constant = value != nullptr && value->constant() != nullptr;
      throw BadData((constant
                         ? "'" + name + "' is a constant of the model that is run and cannot be fed"
                         : "the model has no input '" + name + "'") +
                    "; its inputs are " + known);
    }
  }
  std::vector<Held> outputs = plan_->graph_.run(std::move(inputs), nullptr);
  TensorMap results;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const std::string& name = graph.outputs()[i]->name();
    if (outputs[i].sequence) refuse_no_tensor("output", name);
    results[name] = std::move(outputs[i].tensor);
  }
  return results;
}

void FloatExecutor::watch(const std::vector<const Value*>& values, Watcher watcher) {
  plan_->alter(values, [watcher = std::move(watcher)](const Value& value, Tensor& tensor) {
    watcher(value, tensor);
  });
}

void FloatExecutor::alter(const std::vector<const Value*>& values, Alterer alterer) {
  plan_->alter(values, std::move(alterer));
}

}  // namespace dwindle
