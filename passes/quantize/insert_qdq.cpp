#include "passes/quantize/insert_qdq.h"

#include <algorithm>

namespace dwindle::passes {
namespace {

constexpr size_t kSmall = 1 << 12;  // bytes: scales and zero points, found again by their bytes

Node* first_node(const Graph& graph) { return *graph.nodes().begin(); }

Tensor scalar_zero_point(int32_t value, DType dtype) { return integer_tensor({value}, {}, dtype); }

}  // namespace

Value* QdqInserter::constant(const Value& real, const std::string& suffix, Tensor tensor) {
  return constant(*real.graph(), real, suffix, std::move(tensor));
}

Value* QdqInserter::constant(Graph& graph, const Value& real, const std::string& suffix,
                             Tensor tensor) {
  const std::string name = real.name() + suffix;
  if (tensor.nbytes() <= kSmall) {
    std::string bytes(reinterpret_cast<const char*>(tensor.bytes()), tensor.nbytes());
    auto [it, added] =
        small_.try_emplace({&graph, tensor.dtype(), tensor.shape(), std::move(bytes)}, nullptr);
    if (added) it->second = graph.add_initializer(name, std::move(tensor));
    return it->second;
  }
  std::vector<Value*>& made = large_[&real];
  for (Value* value : made) {
    if (value->graph() == &graph && value->initializer()->identical(tensor)) return value;
  }
  made.push_back(graph.add_initializer(name, std::move(tensor)));
  return made.back();
}

void QdqInserter::drop_if_unread(Value* real) {
  if (!real->unused() || real->initializer() == nullptr || real->is_graph_input()) return;
  large_.erase(real);
  real->graph()->erase(real);
}

QdqInserter::Pair QdqInserter::add_pair(const Value& value, QuantParams params, DType dtype) {
  Graph& graph = *value.graph();
  const std::string& name = value.name();
  Value* scale = constant(value, "_scale", Tensor::scalar(params.scale));
  Value* zero = constant(value, "_zero_point", scalar_zero_point(params.zero_point, dtype));
  Node* after = value.producer() == nullptr ? first_node(graph) : value.producer()->next();
  Node* q = graph.add_node("QuantizeLinear", {nullptr, scale, zero}, 1, after, name + "_quantized");
  Node* dq = graph.add_node("DequantizeLinear", {q->output(), scale, zero}, 1, after,
                            name + "_dequantized");
  dq->output()->type = value.type;
  q->output()->type = {dtype, value.type.shape, {}};
  return {q, dq->output()};
}

Value* QdqInserter::quantize(Value* value, QuantParams params, DType dtype) {
  if (value->constant() != nullptr) return quantize_constant(value, params, dtype);
  const Pair pair = add_pair(*value, params, dtype);
  // The readers are moved over before the pair itself reads the value.
  value->graph()->replace(value, pair.dequantized);
  pair.quantize->set_input(0, value);
  return pair.dequantized;
}

Value* QdqInserter::quantize_for(const std::vector<Use>& readers, Value* value, QuantParams params,
                                 DType dtype) {
  const Pair pair = add_pair(*value, params, dtype);
  for (const Use& use : readers) use.node->set_input(use.input, pair.dequantized);
  pair.quantize->set_input(0, value);
  return pair.dequantized;
}

void QdqInserter::dequantize_in_bodies(Value* dequantized, const std::vector<Use>& readers) {
  Node* outer = dequantized->producer();
  if (outer->input(0)->constant() != nullptr) return;  // integers to be fused must not be outside
  std::unordered_map<Graph*, Value*> inner;
  for (const Use& use : readers) {
    Graph& graph = *use.node->graph();
    if (&graph == outer->graph()) continue;
    Value*& own = inner[&graph];
    if (own == nullptr) {
      std::vector<Value*> inputs = {outer->input(0)};
      for (size_t i = 1; i < outer->num_inputs(); ++i) {
        const Value& real = *outer->input(i);
        inputs.push_back(constant(graph, real, "", *real.constant()));
      }
      own = graph.add_node("DequantizeLinear", inputs, 1, first_node(graph), dequantized->name())
                ->output();
      own->type = dequantized->type;
    }
    use.node->set_input(use.input, own);
  }
  if (dequantized->unused()) outer->graph()->erase(outer);
}

Value* QdqInserter::quantize_constant(Value* value, QuantParams params, DType dtype) {
  Graph& graph = *value->graph();
  const Tensor& real = *value->constant();
  const IntegerRange range = integer_range(dtype);
  std::vector<int32_t> integers;
  for (float x : real.values<float>()) integers.push_back(dwindle::quantize(x, params, range));
  Value* quantized = graph.add_initializer(value->name() + "_quantized",
                                           integer_tensor(integers, real.shape(), dtype));
  Value* scale = constant(*value, "_scale", Tensor::scalar(params.scale));
  Value* zero = constant(*value, "_zero_point", scalar_zero_point(params.zero_point, dtype));
  Node* node = graph.add_node("DequantizeLinear", {quantized, scale, zero}, 1, first_node(graph),
                              value->name() + "_dequantized");
  node->output()->type = value->type;
  graph.replace(value, node->output());
  return node->output();
}

Value* QdqInserter::dequantized(const Value& real, Tensor integers, const Tensor& scales, int axis,
                                int64_t block_size, Node* before) {
  const DType dtype = integers.dtype();
  const ValueType type{DType::kFloat, to_shape(integers.shape()), {}};
  // Beside the node: ONNX Runtime fuses weights in a branch only with constants of that branch, and
  // refuses the model where it finds them outside.
  Graph& graph = *before->graph();
  std::vector<Value*> inputs = {constant(graph, real, "_quantized", std::move(integers)),
                                constant(graph, real, "_scale", scales)};
  // Zero points of int32 biases are always 0 and left out; so are the many of blocks.
  if (dtype != DType::kInt32 && block_size == 0) {
    inputs.push_back(constant(graph, real, "_zero_point", Tensor::zeros(dtype, scales.shape())));
  }
  Node* node = graph.add_node("DequantizeLinear", inputs, 1, before, real.name() + "_dequantized");
  if (axis >= 0) node->set_attribute("axis", static_cast<int64_t>(axis));
  if (block_size > 0) node->set_attribute("block_size", block_size);
  node->output()->type = type;
  return node->output();
}

Value* QdqInserter::dequantized_transpose(const Value& real, Tensor integers, const Tensor& scales,
                                          int axis, int64_t block_size, Node* before) {
  // Integers of whole or half bytes are turned themselves: runtimes fold that and then find weights
  // as of any product. Quarters are not: ONNX Runtime 1.31 cannot.
  const bool turns_integers = dtype_bits(integers.dtype()) >= 4;
  Value* straight = dequantized(real, std::move(integers), scales, axis, block_size, before);
  Graph& graph = *before->graph();
  auto turned = [&](Value* matrix, Node* reader) {
    Node* node = graph.add_node("Transpose", {matrix}, 1, reader, matrix->name() + "_transposed");
    node->set_attribute("perm", std::vector<int64_t>{1, 0});
    const Shape& shape = *matrix->type.shape;
    node->output()->type = {matrix->type.dtype, Shape{shape[1], shape[0]}, {}};
    return node->output();
  };
  if (!turns_integers) return turned(straight, before);
  Node* dequantize = straight->producer();
  dequantize->set_input(0, turned(dequantize->input(0), dequantize));
  if (scales.rank() == 2) dequantize->set_input(1, turned(dequantize->input(1), dequantize));
  if (axis >= 0) dequantize->set_attribute("axis", static_cast<int64_t>(1 - axis));
  straight->type.shape = dequantize->input(0)->type.shape;
  return straight;
}

}  // namespace dwindle::passes
