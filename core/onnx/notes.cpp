#include "core/onnx/notes.h"

#include <algorithm>

#include "core/onnx/schema.h"

namespace dwindle {
namespace {

// Takes what `drop` clears of a Message out of `extra`; returns the bytes that go.
template <typename Message, typename Drop>
size_t take_out(std::string& extra, Drop&& drop) {
  if (extra.empty()) return 0;
  Message message;
  decode_rest(extra, message);
  drop(message);
  std::string left = encode_rest(message);
  const size_t freed = extra.size() - std::min(extra.size(), left.size());
  if (freed > 0) extra = std::move(left);
  return freed;
}

template <typename Message>
void clear_notes(Message& message) {
  message.clear_doc_string();
  message.clear_metadata_props();
}

size_t drop_notes(Graph& graph) {
  size_t freed = take_out<proto::GraphProto>(
      graph.extra, [](proto::GraphProto& message) { message.clear_metadata_props(); });
  for (Node* node : graph.nodes()) {
    freed += take_out<proto::NodeProto>(node->extra, clear_notes<proto::NodeProto>);
  }
  for (Value* value : graph.values()) {
    freed += take_out<proto::TensorProto>(value->tensor_extra, clear_notes<proto::TensorProto>);
    if (value->is_graph_input() || value->is_graph_output()) continue;
    freed += take_out<proto::ValueInfoProto>(value->extra, clear_notes<proto::ValueInfoProto>);
  }
  return freed;
}

}  // namespace

size_t drop_notes(Model& model) {
  size_t freed = 0;
  for_each_graph(*model.graph, [&](Graph& graph) { freed += drop_notes(graph); });
  for (Function& function : model.functions) {
    for_each_graph(*function.graph, [&](Graph& graph) { freed += drop_notes(graph); });
  }
  return freed;
}

}  // namespace dwindle
