#include "core/runtime/plan.h"

#include <algorithm>

#include "core/ops/clamp.h"
#include "core/ops/fake_quantize.h"
#include "core/runtime/half_bridge.h"
#include "core/support/error.h"
#include "core/support/interrupt.h"

namespace dwindle {
namespace {

const Tensor kOmitted;

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

// Says where an error arose, unless it says so itself.
std::string with_node(const Error& error, const Node& node) {
  const std::string what = error.what();
  if (what.find(" node '") != std::string::npos) return what;
  return node.op_type + " node '" + node.name + "': " + what;
}

}  // namespace

class StepContext : public HalfBridge {
 public:
  StepContext(const GraphPlan::Step& step, Frame& frame, const PlanShared& shared)
      : frame_(frame), shared_(shared) {
    node_ = step.node;
    inputs_.reserve(step.inputs.size());
    for (const GraphPlan::Source& source : step.inputs) {
      if (source.slot < 0) {
        inputs_.push_back(&kOmitted);
        continue;
      }
      Frame* from = &frame;
      for (int up = 0; up < source.depth; ++up) from = from->parent;
      inputs_.push_back(&from->slots[static_cast<size_t>(source.slot)]);
    }
    outputs_.resize(step.outputs.size());
  }

  std::vector<Tensor> run_graph(const Graph& graph, std::vector<Tensor> inputs) override {
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
      constants_.emplace_back(slots_.at(value), *tensor);
    } else if (const SparseTensor* sparse = value->sparse_initializer()) {
      constants_.emplace_back(slots_.at(value), sparse->to_dense());
    }
  }
}

void GraphPlan::prepare(const GraphPlan* parent) {
  parent_ = parent;
  std::string missing;
  for (Node* node : graph_.nodes()) add_step(*node, missing);
  if (!missing.empty()) throw Unsupported("no kernel for " + missing);
  for (Value* output : graph_.outputs()) outputs_.push_back(source_of(output));
  plan_releases();
  fuse_steps();
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

void GraphPlan::add_step(const Node& node, std::string& missing) {
  const int opset = opset_of(*shared_.model, node);
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
  step.half_via_float = row->half == HalfFloats::kViaFloat;
  for (Value* input : node.inputs()) step.inputs.push_back(source_of(input));
  for (Value* output : node.outputs()) {
    step.outputs.push_back(output == nullptr ? -1 : slots_.at(output));
  }
  steps_.push_back(std::move(step));
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
    for (Value* output : step->node->outputs()) release(output);
  }
}

void GraphPlan::fuse_steps() {
  std::unordered_map<const Node*, int> places;
  for (const Step& step : steps_) places.emplace(step.node, static_cast<int>(places.size()));
  for (Step& step : steps_) {
    const Value* value = step.node->output();
    if (value == nullptr || value->uses().size() != 1 || value->is_graph_output()) continue;
    const Use use = value->uses().front();
    const auto user = places.find(use.node);  // none where it is in a nested graph
    if (user == places.end() || use.input != 0 || use.node->output() == nullptr) continue;
    if (step.node->is("Conv")) {
      const auto bounds = clamp_bounds(*use.node, opset_of(*shared_.model, *use.node));
      if (bounds) step.fused_kernel = clamped_conv(*bounds);
    } else if (const auto round_trip = round_trip_of(*step.node, *use.node)) {
      step.fused_kernel = fake_quantize(*round_trip);
    }
    if (!step.fused_kernel) continue;
    step.fused = user->second;
    steps_[static_cast<size_t>(step.fused)].between = value;
  }
}

bool GraphPlan::is_watched(const Value* value) const {
  return !shared_.watched.empty() && shared_.watched.contains(value);
}

void GraphPlan::store(Frame& frame, int slot, const Value* value, Tensor tensor) const {
  if (is_watched(value)) shared_.alterer(*value, tensor);
  frame.slots[static_cast<size_t>(slot)] = std::move(tensor);
}

void GraphPlan::run_step(const Step& step, Frame& frame) const {
  if (step.between == nullptr || is_watched(step.between)) compute(step, frame);
  for (int slot : step.releases) frame.slots[static_cast<size_t>(slot)] = Tensor();
}

void GraphPlan::compute(const Step& step, Frame& frame) const {
  const bool fuses = step.fused >= 0 && !is_watched(step.node->output());
  const Step& made = fuses ? steps_[static_cast<size_t>(step.fused)] : step;
  StepContext context(step, frame, shared_);
  if (step.half_via_float) context.widen_halves();
  (fuses ? step.fused_kernel : step.kernel)(context);
  if (step.half_via_float) context.narrow_outputs();
  for (size_t i = 0; i < made.outputs.size(); ++i) {
    if (made.outputs[i] < 0) continue;
    Tensor output = context.take_output(i);
    if (!output.defined()) context.unsupported("output " + std::to_string(i));
    store(frame, made.outputs[i], made.node->output(i), std::move(output));
  }
}

std::vector<Tensor> GraphPlan::run(std::vector<Tensor> inputs, Frame* parent) const {
  Frame frame{this, parent, std::vector<Tensor>(slots_.size())};
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
  std::vector<Tensor> outputs;
  for (const Source& source : outputs_) {
    Frame* from = &frame;
    for (int up = 0; up < source.depth; ++up) from = from->parent;
    outputs.push_back(from->slots[static_cast<size_t>(source.slot)]);
  }
  return outputs;
}

}  // namespace dwindle
