// Which steps of a plan one kernel can do together.
#include "core/ops/fake_quantize.h"
#include "core/ops/fused_conv.h"
#include "core/runtime/plan.h"

namespace dwindle {

void GraphPlan::fuse_steps() {
  for (Step& step : steps_) {
    if (step.node->is("Conv")) fuse_conv(step);
    if (step.node->is("QuantizeLinear")) fuse_round_trip(step);
    if (step.node->is("Sigmoid") || step.node->is("HardSigmoid")) fuse_gate(step);
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
  const auto bounds = next == nullptr ? std::nullopt : clamp_bounds(*next->node, opset(*next));
  if (bounds) {
    neighbours.bounds = *bounds;
    behind.push_back(next);
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

// x * Sigmoid(x) is Swish (SiLU), x * HardSigmoid(x) with its two numbers HardSwish.
void GraphPlan::fuse_gate(Step& gate) {
  const Node& node = *gate.node;
  Step* product = only_reader(node.output());
  if (product == nullptr || !product->node->is("Mul") || gate.constant) return;
  const Value* x = node.input(0);
  const size_t other = product->node->input(0) == node.output() ? 1 : 0;
  // Halves are rounded in between.
  if (product->node->input(other) != x || x->type.dtype != DType::kFloat) return;
  const bool hard = node.is("HardSigmoid");
  if (hard && (node.float_attribute("alpha", 0.2f) != 1.0f / 6.0f ||
               node.float_attribute("beta", 0.5f) != 0.5f)) {
    return;
  }
  const OpRow* row = hard ? find_op("", "HardSwish", 14) : find_op("", "Swish", 24);
  fuse(gate, row->kernel(node, row->since), nullptr, {product});
}

}  // namespace dwindle
