#include "passes/quantize/insert_qdq.h"

#include <algorithm>

namespace dwindle::passes {
namespace {

void set_axis(Node* node, int axis) {
  if (axis >= 0) node->set_attribute("axis", static_cast<int64_t>(axis));
}

}  // namespace

Value* QdqInserter::shared(const std::string& name, Tensor tensor) {
  std::string bytes(reinterpret_cast<const char*>(tensor.bytes()), tensor.nbytes());
  auto [it, added] =
      constants_.try_emplace({tensor.dtype(), tensor.shape(), std::move(bytes)}, nullptr);
  if (added) it->second = graph_.add_initializer(name, std::move(tensor));
  return it->second;
}

Value* QdqInserter::scale(const std::string& name, const std::vector<float>& scales, bool vector) {
  const Dims shape = vector ? Dims{static_cast<int64_t>(scales.size())} : Dims{};
  return shared(name + "_scale", Tensor::of<float>(shape, scales));
}

Value* QdqInserter::zero_point(const std::string& name, const std::vector<int32_t>& values,
                               DType dtype, bool vector) {
  const Dims shape = vector ? Dims{static_cast<int64_t>(values.size())} : Dims{};
  return shared(name + "_zero_point", integer_tensor(values, shape, dtype));
}

void QdqInserter::quantize(Value* value, QuantParams params, DType dtype) {
  const std::string& name = value->name();
  Value* scale_value = scale(name, {params.scale}, false);
  Value* zero = zero_point(name, {params.zero_point}, dtype, false);
  if (const Tensor* constant = value->constant()) {
    const IntegerRange range = integer_range(dtype);
    std::vector<int32_t> integers;
    for (float x : constant->values<float>()) {
      integers.push_back(dwindle::quantize(x, params, range));
    }
    Value* quantized = graph_.add_initializer(name + "_quantized",
                                              integer_tensor(integers, constant->shape(), dtype));
    Node* first = *graph_.nodes().begin();
    Node* node = graph_.add_node("DequantizeLinear", {quantized, scale_value, zero}, 1, first,
                                 name + "_dequantized");
    node->output()->type = value->type;
    graph_.replace(value, node->output());
    return;
  }
  Node* after = value->producer() == nullptr ? *graph_.nodes().begin() : value->producer()->next();
  // The readers are moved over before the pair itself starts to read the value.
  Value* stand_in = graph_.add_value(graph_.fresh_name(name + "_dequantized"));
  Node* q = graph_.add_node("QuantizeLinear", {nullptr, scale_value, zero}, 1, after,
                            name + "_quantized");
  Node* dq = graph_.add_node("DequantizeLinear", {q->output(), scale_value, zero}, 0, after);
  dq->add_output(stand_in);
  stand_in->type = value->type;
  q->output()->type = {dtype, value->type.shape, {}};
  graph_.replace(value, stand_in);
  q->set_input(0, value);
}

Value* QdqInserter::dequantized(const std::string& name, Tensor integers,
                                const std::vector<float>& scales, int axis, Node* before) {
  const DType dtype = integers.dtype();
  const ValueType type{DType::kFloat, to_shape(integers.shape()), {}};
  const bool vector = axis >= 0;
  Value* quantized = graph_.add_initializer(name + "_quantized", std::move(integers));
  std::vector<Value*> inputs = {quantized, scale(name, scales, vector)};
  // Zero points of int32 biases are always 0 and left out.
  if (dtype != DType::kInt32) {
    inputs.push_back(zero_point(name, std::vector<int32_t>(scales.size()), dtype, vector));
  }
  Node* node = graph_.add_node("DequantizeLinear", inputs, 1, before, name + "_dequantized");
  set_axis(node, axis);
  node->output()->type = type;
  return node->output();
}

}  // namespace dwindle::passes
