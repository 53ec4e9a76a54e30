// AttributeProto to Attribute.
#include "core/onnx/load_parts.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

using Message = proto::AttributeProto;

// Files of IR version 1 do not say which field is in use.
Message::AttributeType type_of(const Message& message) {
  if (message.type() != Message::UNDEFINED || message.has_type()) return message.type();
  if (message.has_f()) return Message::FLOAT;
  if (message.has_i()) return Message::INT;
  if (message.has_s()) return Message::STRING;
  if (message.has_t()) return Message::TENSOR;
  if (message.has_g()) return Message::GRAPH;
  if (message.floats_size() > 0) return Message::FLOATS;
  if (message.ints_size() > 0) return Message::INTS;
  if (message.strings_size() > 0) return Message::STRINGS;
  if (message.tensors_size() > 0) return Message::TENSORS;
  if (message.graphs_size() > 0) return Message::GRAPHS;
  return Message::UNDEFINED;
}

std::unique_ptr<Graph> take_graph(proto::GraphProto& message, Graph& parent, ExternalFiles& files) {
  auto graph = std::make_unique<Graph>(&parent);
  load_graph(message, *graph, files);
  return graph;
}

Attribute::Value take_tensors(Message& message, ExternalFiles& files) {
  std::vector<Tensor> tensors;
  bool says_more = false;
  for (auto& tensor : *message.mutable_tensors()) {
    tensors.push_back(take_tensor(tensor, files));
    says_more = says_more || tensor.ByteSizeLong() > 0;
  }
  if (!says_more) message.clear_tensors();
  return tensors;
}

Attribute::Value take_graphs(Message& message, Graph& parent, ExternalFiles& files) {
  std::vector<std::unique_ptr<Graph>> graphs;
  for (auto& graph : *message.mutable_graphs()) graphs.push_back(take_graph(graph, parent, files));
  message.clear_graphs();
  return graphs;
}

// A missing number or string is its default: writers of the proto3 kind leave those out.
Attribute::Value take_value(Message::AttributeType type, Message& message, Graph& graph,
                            ExternalFiles& files) {
  Attribute::Value value;
  switch (type) {
    case Message::FLOAT:
      value = message.f();
      message.clear_f();
      break;
    case Message::INT:
      value = message.i();
      message.clear_i();
      break;
    case Message::STRING:
      value = std::move(*message.mutable_s());
      message.clear_s();
      break;
    case Message::FLOATS:
      value = std::vector<float>(message.floats().begin(), message.floats().end());
      message.clear_floats();
      break;
    case Message::INTS:
      value = std::vector<int64_t>(message.ints().begin(), message.ints().end());
      message.clear_ints();
      break;
    case Message::STRINGS:
      value = std::vector<std::string>(message.strings().begin(), message.strings().end());
      message.clear_strings();
      break;
    case Message::TENSOR:
      if (!message.has_t()) throw BadModel("has the type of a tensor but holds none");
      value = take_tensor(*message.mutable_t(), files);
      if (message.t().ByteSizeLong() == 0) message.clear_t();
      break;
    case Message::GRAPH:
      if (!message.has_g()) throw BadModel("has the type of a graph but holds none");
      value = take_graph(*message.mutable_g(), graph, files);
      message.clear_g();
      break;
    case Message::TENSORS:
      value = take_tensors(message, files);
      break;
    case Message::GRAPHS:
      value = take_graphs(message, graph, files);
      break;
    default:
      embed_external_data(message, files);
      value = OpaqueAttribute{message.SerializeAsString()};
      message.Clear();
  }
  return value;
}

}  // namespace

Attribute take_attribute(proto::AttributeProto& message, Graph& graph, ExternalFiles& files) {
  Attribute attribute;
  attribute.name = message.name();
  if (attribute.name.empty()) throw BadModel("an attribute has no name");
  const Message::AttributeType type = type_of(message);
  try {
    if (message.ref_attr_name().empty()) {
      attribute.value = take_value(type, message, graph, files);
    } else {
      attribute.reference = message.ref_attr_name();
      attribute.type = type;
    }
  } catch (const BadModel& error) {
    throw BadModel("attribute '" + attribute.name + "': " + error.what());
  }
  message.clear_name();
  if (!message.ref_attr_name().empty()) message.clear_ref_attr_name();
  message.clear_type();
  attribute.extra = encode_rest(message);
  return attribute;
}

}  // namespace dwindle
