// widen-halves: makes all float16 and bfloat16 tensors of a model float32, nested graphs' too, with
// Casts at the inputs and outputs of the model, whose types stay.
//
// Quantization takes float32: its scales, its biases and the arithmetic of the layers that stay in
// float are float32 in every runtime. Values that overflow in 16 bits no longer do. The model gets
// larger; it is for what comes behind.
//
// Does nothing where there are no such tensors, and where one cannot be told to be float32: in
// local functions, in sequences and optionals, in sparse or overridable initializers, in the scales
// of a quantized model, in ops of other domains.
#include <algorithm>
#include <array>

#include "core/ops/half.h"
#include "core/ops/infer.h"
#include "passes/convert/passes.h"

namespace dwindle::passes {
namespace {

// Attributes that name the dtype of an output.
constexpr std::array kDtypeAttributes = {"to", "dtype", "output_dtype", "output_datatype",
                                         "softmax_precision"};

bool is_half_value(const Value* value) { return value != nullptr && is_half(value->type.dtype); }

bool is_no_tensor(const Value* value) { return value != nullptr && !value->type.is_tensor(); }

// Whether a declared type would go on saying what the tensors in a sequence or an optional were.
bool touches_other_types(const Node& node) {
  const auto inputs = node.inputs();
  return std::any_of(inputs.begin(), inputs.end(), is_no_tensor) ||
         std::any_of(node.outputs().begin(), node.outputs().end(), is_no_tensor);
}

bool touches_halves(const Node& node) {
  const auto inputs = node.inputs();
  return std::any_of(inputs.begin(), inputs.end(), is_half_value) ||
         std::any_of(node.outputs().begin(), node.outputs().end(), is_half_value);
}

// Half at the edge of the model alone, as this pass leaves inputs and outputs.
bool is_edge(const Value& value) {
  if (value.is_graph_input()) {
    const auto& uses = value.uses();
    return std::all_of(uses.begin(), uses.end(), [](Use use) { return use.node->is("Cast"); });
  }
  const Node* producer = value.producer();
  return value.is_graph_output() && value.uses().empty() && producer != nullptr &&
         producer->is("Cast") && !is_half_value(producer->input(0));
}

class Widener {
 public:
  explicit Widener(Model& model) : model_(model) {}

  bool can_widen() const {
    bool can = model_.functions.empty() && model_.opset() >= 6, any = false;
    for_each_graph(*model_.graph, [&](Graph& graph) {
      for (const Value* value : graph.values()) {
        if (!is_half(value->type.dtype)) continue;
        any |= graph.parent() != nullptr || !is_edge(*value);
        const bool overridable = value->is_graph_input() && value->initializer() != nullptr;
        can &= value->type.is_tensor() && value->sparse_initializer() == nullptr && !overridable;
      }
      for (const Node* node : graph.nodes()) {
        if (!touches_halves(*node)) continue;
        can &= node->domain.empty() && !node->is("QuantizeLinear") &&
               !node->is("DequantizeLinear") && !node->is("BitCast") && !touches_other_types(*node);
      }
    });
    return can && any;
  }

  int64_t run() {
    std::vector<std::pair<Value*, DType>> inputs, outputs;
    for (Value* value : model_.graph->inputs()) {
      if (is_half_value(value)) inputs.emplace_back(value, value->type.dtype);
    }
    for (Value* value : model_.graph->outputs()) {
      outputs.emplace_back(value, is_half_value(value) ? value->type.dtype : DType::kUndefined);
    }
    for_each_graph(*model_.graph, [&](Graph& graph) {
      for (Value* value : graph.values()) widen(*value);
      for (Node* node : graph.nodes()) widen(*node);
    });
    for (const auto& [value, half] : inputs) cast_input(*value, half);
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (outputs[i].second != DType::kUndefined) cast_output(i, outputs[i].second);
    }
    return widened_;
  }

 private:
  void widen(Value& value) {
    if (!is_half(value.type.dtype)) return;
    ++widened_;
    if (const Tensor* tensor = value.initializer()) {
      value.set_initializer(half_to_float(*tensor));
    } else {
      value.type.dtype = DType::kFloat;
    }
  }

  static void widen(Node& node) {
    for (Attribute& attribute : node.attributes()) {
      if (auto* tensor = std::get_if<Tensor>(&attribute.value)) {
        if (is_half(tensor->dtype())) *tensor = half_to_float(*tensor);
      } else if (auto* number = std::get_if<int64_t>(&attribute.value)) {
        const bool names = std::find(kDtypeAttributes.begin(), kDtypeAttributes.end(),
                                     attribute.name) != kDtypeAttributes.end();
        if (names && is_half(static_cast<DType>(*number))) {
          *number = static_cast<int64_t>(DType::kFloat);
        }
      }
    }
  }

  Node* cast(Value* value, DType dtype, Node* before) {
    Node* node = model_.graph->add_node("Cast", {value}, 1, before, value->name() + "_cast");
    node->set_attribute("to", static_cast<int64_t>(dtype));
    node->output()->type = {dtype, value->type.shape, {}};
    return node;
  }

  // What reads the input reads its float32 form.
  void cast_input(Value& value, DType half) {
    const std::vector<Use> uses = value.uses();
    value.type.dtype = half;
    if (uses.empty()) return;
    Node* node = cast(&value, DType::kFloat, *model_.graph->nodes().begin());
    for (const Use& use : uses) use.node->set_input(use.input, node->output());
  }

  // The output keeps name and type; what the model computes gets another name.
  void cast_output(size_t index, DType half) {
    Graph& graph = *model_.graph;
    Value* value = graph.outputs()[index];
    if (value->is_graph_input()) return;  // is as it was
    const std::string name = value->name();
    Node* node = cast(value, half, nullptr);
    std::swap(node->output()->extra, value->extra);
    graph.set_output(index, node->output());
    value->rename(graph.fresh_name(name + "_float"));
    node->output()->rename(name);
  }

  Model& model_;
  int64_t widened_ = 0;
};

struct WidenHalves : Pass {
  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    infer_shapes(model);
    Widener widener(model);
    if (!widener.can_widen()) return result;
    result.counts["values widened"] = widener.run();
    result.changed = true;
    return result;
  }
};

}  // namespace

PassRow widen_halves_row() {
  return {"widen-halves",
          "Make float16 and bfloat16 tensors float32, with Casts at the inputs and outputs",
          {},
          [](const Options&) -> std::unique_ptr<Pass> { return std::make_unique<WidenHalves>(); }};
}

}  // namespace dwindle::passes
