// Which steps of a plan one kernel can do together.
#include "core/ops/activation.h"
#include "core/ops/fake_quantize.h"
#include "core/ops/fused_conv.h"
#include "core/runtime/plan.h"

namespace dwindle {
namespace {

// Whether it writes float32. Its weights have the dtype of its output, and theirs is known in files
// that name no types of values between nodes.
bool writes_floats(const Node& conv) {
  const Value *weights = conv.input(1), *made = conv.output();
  return (weights != nullptr && weights->type.dtype == DType::kFloat) ||
         made->type.dtype == DType::kFloat;
}

}  // namespace

void GraphPlan::fuse_steps() {
  for (Step& step : steps_) {
    if (step.node->is("Conv")) fuse_conv(step);
    if (step.node->is("QuantizeLinear")) fuse_round_trip(step);
    fuse_gate(step);
  }
}

GraphPlan::Step* GraphPlan::step_of(const Node* node) {
  const auto place = places_.find(node);
  return place == places_.end() ? nullptr : &steps_[static_cast<size_t>(place->second)];
}

GraphPlan::Step* GraphPlan::only_reader(const Value* value) {
  if (value == nullptr || value->uses().size() != 1 || value->is_graph_output()) return nullptr;
  const Node* reader = value->uses().front().node;
  return reader->output() == nullptr ? nullptr : step_of(reader);  // none in a nested graph
}

GraphPlan::Step* GraphPlan::sole_reader(const Value* value) {
  Step* reader = only_reader(value);
  return reader != nullptr && reader->node->input(0) == value ? reader : nullptr;
}

void GraphPlan::fuse(Step& host, Kernel kernel, Step* before, const std::vector<Step*>& behind) {
  Fusion fusion{std::move(kernel), host.node, host.node, host.inputs, {}, {}};
  const int place = places_.at(host.node);
  if (before != nullptr) {
    fusion.first = before->node;
    fusion.inputs[0] = before->inputs[0];
    fusion.between.push_back(before->node->output());
    before->host = place;
  }
  for (Step* step : behind) {
    fusion.between.push_back(fusion.last->output());
    fusion.last = step->node;
    step->host = place;
  }
  fusion.outputs = {steps_[static_cast<size_t>(places_.at(fusion.last))].outputs[0]};
  host.fusion = std::make_shared<const Fusion>(std::move(fusion));
}

void GraphPlan::fuse_conv(Step& conv) {
  const auto opset = [&](const Step& step) { return opset_of(*step.node); };
  ConvNeighbours neighbours;
  Step* before = nullptr;
  const Value *x = conv.node->input(0), *weights = conv.node->input(1);
  Step* producer = x == nullptr ? nullptr : step_of(x->producer());
  if (producer != nullptr && sole_reader(x) == &conv && weights != nullptr && weights->type.shape) {
    neighbours.padding =
        spatial_padding(*producer->node, opset(*producer), weights->type.shape->size(),
                        [&](const Value* value) { return constant_of(value); });
    if (neighbours.padding && neighbours.padding->value != 0) neighbours.padding.reset();
    if (neighbours.padding) before = producer;
  }
  std::vector<Step*> behind;
  Step* next = sole_reader(conv.node->output());
  if (next != nullptr) neighbours.norm = constant_batch_norm(*next->node, opset(*next));
  if (neighbours.norm) {
    behind.push_back(next);
    next = sole_reader(next->node->output());
  }
  const Value* made = behind.empty() ? conv.node->output() : behind.back()->node->output();
  const auto bounds = next == nullptr ? std::nullopt : clamp_bounds(*next->node, opset(*next));
  if (bounds) {
    neighbours.bounds = *bounds;
    behind.push_back(next);
  } else if (made != nullptr && writes_floats(*conv.node)) {  // halves are rounded in between
    if (next != nullptr) neighbours.activation = activation_of(*next->node, opset(*next));
    if (neighbours.activation) {
      behind.push_back(next);
    } else if (Step* gate = sole_gate(made)) {
      neighbours.activation = gated_by(*gate->node);
      behind.insert(behind.end(), {gate, gate_product(*gate)});
    }
  }
  if (before != nullptr || !behind.empty()) {
    fuse(conv, fused_conv(std::move(neighbours)), before, behind);
  }
}

void GraphPlan::fuse_round_trip(Step& quantize) {
  Step* dequantize = sole_reader(quantize.node->output());
  if (dequantize == nullptr) return;
  const auto round_trip = round_trip_of(*quantize.node, *dequantize->node);
  if (round_trip) fuse(quantize, fake_quantize(*round_trip), nullptr, {dequantize});
}

GraphPlan::Step* GraphPlan::gate_product(const Step& gate) {
  Step* product = gate.node->input(0) == nullptr ? nullptr : only_reader(gate.node->output());
  if (product == nullptr || !product->node->is("Mul") || gate.constant) return nullptr;
  const size_t other = product->node->input(0) == gate.node->output() ? 1 : 0;
  return product->node->input(other) == gate.node->input(0) ? product : nullptr;
}

GraphPlan::Step* GraphPlan::sole_gate(const Value* value) {
  if (value == nullptr || value->uses().size() != 2 || value->is_graph_output()) return nullptr;
  for (const Use& use : value->uses()) {
    Step* gate = step_of(use.node);
    if (gate == nullptr || !gated_by(*gate->node)) continue;
    const Step* product = gate_product(*gate);
    if (product != nullptr && product->node != use.node) return gate;
  }
  return nullptr;
}

void GraphPlan::fuse_gate(Step& gate) {
  const auto gated = gated_by(*gate.node);
  Step* product = gated ? gate_product(gate) : nullptr;
  // A layer in front may have taken both; halves are rounded in between.
  if (product == nullptr || gate.host >= 0) return;
  if (gate.node->input(0)->type.dtype != DType::kFloat) return;
  fuse(gate, activation_kernel(*gated), nullptr, {product});
}

}  // namespace dwindle
