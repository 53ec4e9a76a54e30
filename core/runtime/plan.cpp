#include "core/runtime/plan.h"

#include <algorithm>

#include "core/runtime/half_bridge.h"
#include "core/runtime/run_node.h"
#include "core/support/error.h"
#include "core/support/interrupt.h"

namespace dwindle {
namespace {

const Held kOmitted;

// The values that a node reads: its inputs and what its nested graphs capture.
template <typename Visit>
void for_each_read(const Node& node, Visit&& visit) {
  for (size_t i = 0; i < node.num_inputs(); ++i) {
    if (node.input(i) != nullptr) visit(node.input(i));
  }
  for (Graph* nested : node.nested_graphs()) {
    for_each_graph(*nested, [&](Graph& graph) {
      for (Node* inner : graph.nodes()) {
        for (Value* input : inner->inputs()) {
          if (input != nullptr) visit(input);
        }
      }
      for (Value* output : graph.outputs()) visit(output);
    });
  }
}

// What is computed once and kept: the arithmetic on shapes that exporters leave, not weights.
constexpr size_t kMostFoldedBytes = 4096;

// Whether `node` makes of small inputs small outputs, the same in every run.
bool stays_small(const Node& node, int opset, const std::vector<Tensor>& inputs) {
  if (node.is("Constant") || node.is("Shape") || node.is("Size")) return true;
  if (node.is("ConstantOfShape")) {
    return !inputs.empty() && inputs[0].defined() && element_count(to_int64s(inputs[0])) <= 1024;
  }
  if (node.is("Expand") || node.is("Tile")) return false;
  const OpRow* row = find_op(node.domain, node.op_type, opset);
  return (row->traits & (kElementwise | kMovesData)) != 0 && (row->traits & kRandom) == 0;
}

// Says where an error arose, unless it says so itself.
std::string with_node(const Error& error, const Node& node) {
  const std::string what = error.what();
  if (what.find(" node '") != std::string::npos) return what;
  return node.op_type + " node '" + node.name + "': " + what;
}

}  // namespace

class StepContext : public HalfBridge {
 public:
  StepContext(const Node& node, const std::vector<GraphPlan::Source>& inputs, size_t outputs,
              Frame& frame, const PlanShared& shared)
      : frame_(frame), shared_(shared) {
    node_ = &node;
    inputs_.reserve(inputs.size());
    for (const GraphPlan::Source& source : inputs) {
      if (source.slot < 0) {
        inputs_.push_back(&kOmitted);
        continue;
      }
      Frame* from = &frame;
      for (int up = 0; up < source.depth; ++up) from = from->parent;
      inputs_.push_back(&from->slots[static_cast<size_t>(source.slot)]);
    }
    outputs_.resize(outputs);
  }

  std::vector<Held> run_graph(const Graph& graph, std::vector<Held> inputs) override {
    return shared_.plans.at(&graph)->run(std::move(inputs), &frame_);
  }

 private:
  Frame& frame_;
  const PlanShared& shared_;
};

GraphPlan::GraphPlan(const Graph& graph, PlanShared& shared) : graph_(graph), shared_(shared) {
  // Registered before its steps are made: nested graphs look up the slots of what they capture.
  for (Value* value : graph.values()) {
    slots_.emplace(value, static_cast<int>(slots_.size()));
    if (const Tensor* tensor = value->initializer()) {
      constants_.emplace(slots_.at(value), *tensor);
    } else if (const SparseTensor* sparse = value->sparse_initializer()) {
      constants_.emplace(slots_.at(value), sparse->to_dense());
    }
  }
}

void GraphPlan::prepare(const GraphPlan* parent) {
  parent_ = parent;
  std::string missing;
  for (Node* node : graph_.nodes()) add_step(*node, missing);
  if (!missing.empty()) throw Unsupported("no kernel for " + missing);
  for (Value* output : graph_.outputs()) outputs_.push_back(source_of(output));
  fuse_steps();
  plan_releases();
}

GraphPlan::Source GraphPlan::source_of(const Value* value) const {
  Source source;
  if (value == nullptr) return source;
  for (const GraphPlan* plan = this; plan != nullptr; plan = plan->parent_, ++source.depth) {
    auto it = plan->slots_.find(value);
    if (it == plan->slots_.end()) continue;
    source.slot = it->second;
    return source;
  }
  throw BadModel("value '" + value->name() + "' is read outside the graphs that define it");
}

int GraphPlan::opset_of(const Node& node) const {
  const auto own = shared_.versions.find(&node);
  return own != shared_.versions.end() ? static_cast<int>(own->second)
                                       : dwindle::opset_of(*shared_.model, node);
}

void GraphPlan::add_step(const Node& node, std::string& missing) {
  const int opset = opset_of(node);
  const OpRow* row = find_op(node.domain, node.op_type, opset);
  if (row == nullptr || row->kernel == nullptr) {
    const std::string op = (node.domain.empty() ? "" : node.domain + ".") + node.op_type +
                           " (opset " + std::to_string(opset) + ")";
    if (missing.find(op) == std::string::npos) missing += (missing.empty() ? "" : ", ") + op;
    return;
  }
  for (Graph* nested : node.nested_graphs()) {
    auto plan = std::make_unique<GraphPlan>(*nested, shared_);
    plan->prepare(this);
    shared_.plans.emplace(nested, std::move(plan));
  }
  Step step;
  step.node = &node;
  step.kernel = row->kernel(node, opset);
  step.half_via_float = row->half == kViaFloat;
  for (Value* input : node.inputs()) step.inputs.push_back(source_of(input));
  for (Value* output : node.outputs()) {
    step.outputs.push_back(output == nullptr ? -1 : slots_.at(output));
  }
  fold_constant(step, opset);
  places_.emplace(&node, static_cast<int>(steps_.size()));
  steps_.push_back(std::move(step));
}

void GraphPlan::fold_constant(Step& step, int opset) {
  const Node& node = *step.node;
  std::vector<Tensor> inputs;
  for (const Value* value : node.inputs()) {
    const Tensor* tensor = value == nullptr ? &kOmitted.tensor : constant_of(value);
    if (tensor == nullptr || tensor->nbytes() > kMostFoldedBytes) return;
    inputs.push_back(*tensor);
  }
  if (!stays_small(node, opset, inputs)) return;
  std::optional<std::vector<Tensor>> outputs;
  try {
    outputs = run_node(node, opset, inputs);
  } catch (const Error&) {
    return;  // the run itself says so, if it comes to that
  }
  if (!outputs) return;
  for (size_t i = 0; i < outputs->size(); ++i) {
    if (step.outputs[i] >= 0) constants_.emplace(step.outputs[i], std::move((*outputs)[i]));
  }
  step.constant = true;
}

const Tensor* GraphPlan::constant_of(const Value* value) const {
  if (const Tensor* tensor = value->constant()) return tensor;
  if (value->producer() == nullptr) return nullptr;  // an input, whose initializer is a default
  for (const GraphPlan* plan = this; plan != nullptr; plan = plan->parent_) {
    const auto slot = plan->slots_.find(value);
    if (slot == plan->slots_.end()) continue;
    const auto constant = plan->constants_.find(slot->second);
    return constant == plan->constants_.end() ? nullptr : &constant->second;
  }
  return nullptr;
}

void GraphPlan::plan_releases() {
  std::vector<bool> kept(slots_.size(), false);
  for (const auto& [slot, tensor] : constants_) kept[static_cast<size_t>(slot)] = true;
  for (const Source& source : outputs_) {
    if (source.depth == 0) kept[static_cast<size_t>(source.slot)] = true;
  }
  // Backwards: the first step met is the last that reads a slot.
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
    auto release = [&](const Value* value) {
      auto it = value == nullptr ? slots_.end() : slots_.find(value);
      if (it == slots_.end() || kept[static_cast<size_t>(it->second)]) return;
      kept[static_cast<size_t>(it->second)] = true;
      step->releases.push_back(it->second);
    };
    for_each_read(*step->node, release);
    if (step->fusion) release(step->fusion->first->input(0));
    for (Value* output : step->node->outputs()) release(output);
  }
}

bool GraphPlan::is_watched(const Value* value) const {
  return !shared_.watched.empty() && shared_.watched.contains(value);
}

bool GraphPlan::any_watched(std::span<Value* const> values) const {
  return std::any_of(values.begin(), values.end(), [&](const Value* v) { return is_watched(v); });
}

void GraphPlan::store(Frame& frame, int slot, const Value* value, Held held) const {
  if (!held.sequence && is_watched(value)) shared_.alterer(*value, held.tensor);
  frame.slots[static_cast<size_t>(slot)] = std::move(held);
}

void GraphPlan::run_step(const Step& step, Frame& frame) const {
  compute(step, frame);
  for (int slot : step.releases) frame.slots[static_cast<size_t>(slot)] = Held();
}

void GraphPlan::compute(const Step& step, Frame& frame) const {
  if (step.constant && !any_watched(step.node->outputs())) return;
  const Step& host = step.host < 0 ? step : steps_[static_cast<size_t>(step.host)];
  const bool together = host.fusion && !any_watched(host.fusion->between);
  if (!together) {
    run_kernel(step.kernel, step, step.inputs, *step.node, step.outputs, frame);
  } else if (&step == &host) {
    const Fusion& fusion = *host.fusion;
    run_kernel(fusion.kernel, step, fusion.inputs, *fusion.last, fusion.outputs, frame);
  }
}

void GraphPlan::run_kernel(const Kernel& kernel, const Step& step,
                           const std::vector<Source>& inputs, const Node& last,
                           const std::vector<int>& outputs, Frame& frame) const {
  StepContext context(*step.node, inputs, outputs.size(), frame, shared_);
  if (step.half_via_float) context.widen_halves();
  kernel(context);
  if (step.half_via_float) context.narrow_outputs();
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] < 0) continue;
    Held output = context.take_output(i);
    if (!output.defined()) {
      if (step.node->is("Optional")) continue;  // an empty one
      context.unsupported("output " + std::to_string(i));
    }
    store(frame, outputs[i], last.output(i), std::move(output));
  }
}

std::vector<Held> GraphPlan::run(std::vector<Held> inputs, Frame* parent) const {
  Frame frame{this, parent, std::vector<Held>(slots_.size())};
  for (const auto& [slot, tensor] : constants_) frame.slots[static_cast<size_t>(slot)] = tensor;
  if (inputs.size() != graph_.inputs().size()) {
    throw BadModel("graph '" + graph_.name + "' takes " + std::to_string(graph_.inputs().size()) +
                   " inputs but is given " + std::to_string(inputs.size()));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value* value = graph_.inputs()[i];
    // An input that is not fed keeps its initializer.
    if (inputs[i].defined()) store(frame, slots_.at(value), value, std::move(inputs[i]));
  }
  check_interrupted();  // also where a loop's body has no nodes
  for (const Step& step : steps_) {
    check_interrupted();
    try {
      run_step(step, frame);
    } catch (const BadModel& error) {
      throw BadModel(with_node(error, *step.node));
    } catch (const Unsupported& error) {
      throw Unsupported(with_node(error, *step.node));
    }
  }
  std::vector<Held> outputs;
  for (const Source& source : outputs_) {
    Frame* from = &frame;
    for (int up = 0; up < source.depth; ++up) from = from->parent;
    outputs.push_back(from->slots[static_cast<size_t>(source.slot)]);
  }
  return outputs;
}

}  // namespace dwindle
