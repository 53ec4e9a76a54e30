// Graph and Function to GraphProto and FunctionProto.
#include "core/onnx/encode.h"
#include "core/onnx/load_parts.h"

namespace dwindle {
namespace {

using Message = proto::AttributeProto;

void put_shape(const Shape& shape, proto::TensorShapeProto& message) {
  // Denotations belong to axes: they stay only while there are as many.
  if (message.dim_size() != static_cast<int>(shape.size())) message.clear_dim();
  while (message.dim_size() < static_cast<int>(shape.size())) message.add_dim();
  for (size_t i = 0; i < shape.size(); ++i) {
    auto& dim = *message.mutable_dim(static_cast<int>(i));
    if (shape[i].known()) {
      dim.set_dim_value(shape[i].extent);
    } else if (!shape[i].symbol.empty()) {
      dim.set_dim_param(shape[i].symbol);
    }
  }
}

void put_type(const ValueType& type, proto::ValueInfoProto& info) {
  if (!type.is_tensor()) {
    info.mutable_type()->ParsePartialFromString(type.opaque);
    return;
  }
  if (type.dtype == DType::kUndefined && !type.shape) return;
  proto::TypeProto::Tensor& tensor = *info.mutable_type()->mutable_tensor_type();
  if (type.dtype != DType::kUndefined) tensor.set_elem_type(static_cast<int32_t>(type.dtype));
  if (type.shape) {
    put_shape(*type.shape, *tensor.mutable_shape());
  } else {
    tensor.clear_shape();
  }
}

// One overload for each alternative of Attribute::Value.
struct ValueWriter {
  TensorWriter& tensors;
  Message& message;

  void operator()(std::monostate) {}
  void operator()(float value) {
    message.set_type(Message::FLOAT);
    message.set_f(value);
  }
  void operator()(int64_t value) {
    message.set_type(Message::INT);
    message.set_i(value);
  }
  void operator()(const std::string& value) {
    message.set_type(Message::STRING);
    message.set_s(value);
  }
  void operator()(const Tensor& value) {
    message.set_type(Message::TENSOR);
    tensors.put(value, *message.mutable_t());
  }
  void operator()(const std::unique_ptr<Graph>& value) {
    message.set_type(Message::GRAPH);
    put_graph(*value, /*with_initializers=*/true, tensors, *message.mutable_g());
  }
  void operator()(const std::vector<float>& values) {
    message.set_type(Message::FLOATS);
    message.mutable_floats()->Assign(values.begin(), values.end());
  }
  void operator()(const std::vector<int64_t>& values) {
    message.set_type(Message::INTS);
    message.mutable_ints()->Assign(values.begin(), values.end());
  }
  void operator()(const std::vector<std::string>& values) {
    message.set_type(Message::STRINGS);
    for (const std::string& value : values) message.add_strings(value);
  }
  void operator()(const std::vector<Tensor>& values) {
    message.set_type(Message::TENSORS);
    if (message.tensors_size() != static_cast<int>(values.size())) message.clear_tensors();
    while (message.tensors_size() < static_cast<int>(values.size())) message.add_tensors();
    for (size_t i = 0; i < values.size(); ++i) {
      tensors.put(values[i], *message.mutable_tensors(static_cast<int>(i)));
    }
  }
  void operator()(const std::vector<std::unique_ptr<Graph>>& values) {
    message.set_type(Message::GRAPHS);
    for (const auto& graph : values) put_graph(*graph, true, tensors, *message.add_graphs());
  }
  void operator()(const OpaqueAttribute& value) { message.ParsePartialFromString(value.encoded); }
};

void put_node(const Node& node, TensorWriter& tensors, proto::NodeProto& message) {
  decode_rest(node.extra, message);
  for (const Value* input : node.inputs()) {
    message.add_input(input == nullptr ? std::string() : input->name());
  }
  for (const Value* output : node.outputs()) {
    message.add_output(output == nullptr ? std::string() : output->name());
  }
  message.set_op_type(node.op_type);
  if (!node.name.empty()) message.set_name(node.name);
  if (!node.domain.empty()) message.set_domain(node.domain);
  if (!node.overload.empty()) message.set_overload(node.overload);
  for (const Attribute& attribute : node.attributes()) {
    put_attribute(attribute, tensors, *message.add_attribute());
  }
}

// `infos` holds the entries that no value could hold. Passes may have outdated them.
void put_value_infos(const Graph& graph,
                     google::protobuf::RepeatedPtrField<proto::ValueInfoProto>& infos) {
  google::protobuf::RepeatedPtrField<proto::ValueInfoProto> others;
  others.Swap(&infos);
  for (const Value* value : graph.values()) {
    if (value->declared) put_value_info(*value, /*with_extra=*/true, *infos.Add());
  }
  for (auto& info : others) {
    const Value* value = graph.find(info.name());
    proto::ValueInfoProto copy = info;
    if (value != nullptr && contradict(value->type, take_type(copy))) continue;
    *infos.Add() = std::move(info);
  }
}

void put_initializers(const Graph& graph, TensorWriter& tensors, proto::GraphProto& message) {
  for (const Value* value : graph.initializers()) {
    if (value->initializer() == nullptr) continue;
    proto::TensorProto& tensor = *message.add_initializer();
    decode_rest(value->tensor_extra, tensor);
    tensor.set_name(value->name());
    tensors.put(*value->initializer(), tensor);
  }
}

void put_sparse_initializers(const Graph& graph, TensorWriter& tensors,
                             proto::GraphProto& message) {
  for (const Value* value : graph.initializers()) {
    const SparseTensor* sparse = value->sparse_initializer();
    if (sparse == nullptr) continue;
    proto::SparseTensorProto& target = *message.add_sparse_initializer();
    decode_rest(value->tensor_extra, target);
    target.mutable_dims()->Assign(sparse->shape.begin(), sparse->shape.end());
    target.mutable_values()->set_name(value->name());
    tensors.put(sparse->values, *target.mutable_values());
    tensors.put(sparse->indices, *target.mutable_indices());
  }
}

}  // namespace

void put_value_info(const Value& value, bool with_extra, proto::ValueInfoProto& info) {
  if (with_extra) decode_rest(value.extra, info);
  info.set_name(value.name());
  put_type(value.type, info);
}

void put_attribute(const Attribute& attribute, TensorWriter& tensors, Message& message) {
  decode_rest(attribute.extra, message);
  // What is left of a tensor goes with a tensor only: the value may be another now.
  if (!std::holds_alternative<Tensor>(attribute.value)) message.clear_t();
  if (!std::holds_alternative<std::vector<Tensor>>(attribute.value)) message.clear_tensors();
  std::visit(ValueWriter{tensors, message}, attribute.value);
  message.set_name(attribute.name);
  if (!attribute.reference.empty()) {
    message.set_ref_attr_name(attribute.reference);
    if (attribute.type != 0) message.set_type(static_cast<Message::AttributeType>(attribute.type));
  }
}

void put_graph(const Graph& graph, bool with_initializers, TensorWriter& tensors,
               proto::GraphProto& message) {
  decode_rest(graph.extra, message);
  if (!graph.name.empty()) message.set_name(graph.name);
  for (const Node* node : graph.nodes()) put_node(*node, tensors, *message.add_node());
  if (with_initializers) put_initializers(graph, tensors, message);
  put_sparse_initializers(graph, tensors, message);
  for (const Value* input : graph.inputs()) put_value_info(*input, true, *message.add_input());
  for (const Value* output : graph.outputs()) put_value_info(*output, true, *message.add_output());
  put_value_infos(graph, *message.mutable_value_info());
}

void put_function(const Function& function, TensorWriter& tensors, proto::FunctionProto& message) {
  decode_rest(function.extra, message);
  if (!function.name.empty()) message.set_name(function.name);
  if (!function.domain.empty()) message.set_domain(function.domain);
  if (!function.overload.empty()) message.set_overload(function.overload);
  const Graph& graph = *function.graph;
  for (const Value* input : graph.inputs()) message.add_input(input->name());
  for (const Value* output : graph.outputs()) message.add_output(output->name());
  for (const std::string& name : function.attributes) message.add_attribute(name);
  for (const Attribute& attribute : function.default_attributes) {
    put_attribute(attribute, tensors, *message.add_attribute_proto());
  }
  for (const Node* node : graph.nodes()) put_node(*node, tensors, *message.add_node());
  put_value_infos(graph, *message.mutable_value_info());
  put_opsets(function.opsets, *message.mutable_opset_import());
}

}  // namespace dwindle
