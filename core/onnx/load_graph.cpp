// GraphProto and FunctionProto to Graph.
//
// All values of a graph are made before its first node, so that nodes may come in any order and
// nested graphs find the values around them; a name that is still unknown then is defined nowhere.
#include <algorithm>
#include <string_view>
#include <unordered_set>

#include "core/onnx/load_parts.h"
#include "core/support/error.h"
#include "core/support/nearest.h"

namespace dwindle {
namespace {

using google::protobuf::RepeatedPtrField;

std::string describe(const proto::NodeProto& node) {
  std::string text = "node '" + node.name() + "' (" + node.op_type() + ")";
  if (node.name().empty() && node.output_size() > 0) text += " that makes '" + node.output(0) + "'";
  return text;
}

bool has_constant(const Value& value) {
  return value.initializer() != nullptr || value.sparse_initializer() != nullptr;
}

class GraphLoader {
 public:
  GraphLoader(Graph& graph, ExternalFiles& files) : graph_(graph), files_(files) {}

  void load(proto::GraphProto& message);
  void load(proto::FunctionProto& message, Function& function);

 private:
  Value* define(const std::string& name, const char* as);
  void load_initializers(proto::GraphProto& message);
  void load_inputs(RepeatedPtrField<proto::ValueInfoProto>& inputs);
  void declare_outputs(const RepeatedPtrField<proto::NodeProto>& nodes,
                       const RepeatedPtrField<proto::ValueInfoProto>& infos);
  void load_outputs(RepeatedPtrField<proto::ValueInfoProto>& outputs);
  void load_value_infos(RepeatedPtrField<proto::ValueInfoProto>& infos);
  bool take_value_info(proto::ValueInfoProto& info);
  void set_type(Value& value, ValueType type);
  void load_nodes(RepeatedPtrField<proto::NodeProto>& nodes);
  void load_node(proto::NodeProto& message);
  void add_graph_output(const std::string& name);
  Value* resolve(const std::string& name) const;

  Graph& graph_;
  ExternalFiles& files_;
};

void GraphLoader::load(proto::GraphProto& message) {
  graph_.name = message.name();
  if (!graph_.name.empty()) message.clear_name();
  load_initializers(message);
  load_inputs(*message.mutable_input());
  declare_outputs(message.node(), message.value_info());
  load_outputs(*message.mutable_output());
  load_value_infos(*message.mutable_value_info());
  load_nodes(*message.mutable_node());
  graph_.extra = encode_rest(message);
  graph_.sort();
}

void GraphLoader::load(proto::FunctionProto& message, Function& function) {
  for (const std::string& name : message.input()) graph_.add_input(define(name, "input"));
  declare_outputs(message.node(), message.value_info());
  for (const std::string& name : message.output()) add_graph_output(name);
  load_value_infos(*message.mutable_value_info());
  for (auto& attribute : *message.mutable_attribute_proto()) {
    function.default_attributes.push_back(take_attribute(attribute, graph_, files_));
  }
  load_nodes(*message.mutable_node());
  message.clear_input();
  message.clear_output();
  message.clear_attribute_proto();
  graph_.sort();
}

Value* GraphLoader::define(const std::string& name, const char* as) {
  if (name.empty()) throw BadModel(std::string("an ") + as + " of the graph has no name");
  if (graph_.find(name) != nullptr) {
    throw BadModel("value '" + name + "' is defined twice, once as " + as);
  }
  return graph_.add_value(name);
}

void GraphLoader::load_initializers(proto::GraphProto& message) {
  for (auto& tensor : *message.mutable_initializer()) {
    Value* value = define(tensor.name(), "initializer");
    value->set_initializer(take_tensor(tensor, files_));
    tensor.clear_name();
    value->tensor_extra = encode_rest(tensor);
    tensor.Clear();
  }
  message.clear_initializer();
  for (auto& sparse : *message.mutable_sparse_initializer()) {
    Value* value = define(sparse.values().name(), "initializer");
    value->set_sparse_initializer(take_sparse_tensor(sparse, files_));
    sparse.mutable_values()->clear_name();
    value->tensor_extra = encode_rest(sparse);
  }
  message.clear_sparse_initializer();
}

// Raises BadModel where the value is known to be of another type.
void GraphLoader::set_type(Value& value, ValueType type) {
  if (contradict(value.type, type)) {
    throw BadModel("value '" + value.name() + "' is declared as " + to_string(type) + " but is " +
                   to_string(value.type));
  }
  value.type = std::move(type);
}

void GraphLoader::load_inputs(RepeatedPtrField<proto::ValueInfoProto>& inputs) {
  for (auto& info : inputs) {
    // An initializer of the same name is the input's default value.
    Value* value = graph_.find(info.name());
    if (value == nullptr || value->is_graph_input()) value = define(info.name(), "input");
    set_type(*value, take_type(info));
    info.clear_name();
    value->extra = encode_rest(info);
    graph_.add_input(value);
  }
  inputs.Clear();
}

// Makes the values that nodes define: first those that value_info lists, in its order, so that it
// is written in the same order again.
void GraphLoader::declare_outputs(const RepeatedPtrField<proto::NodeProto>& nodes,
                                  const RepeatedPtrField<proto::ValueInfoProto>& infos) {
  std::unordered_set<std::string_view> made;
  for (const auto& node : nodes) {
    for (const std::string& name : node.output()) {
      if (name.empty()) continue;
      if (!made.insert(name).second || graph_.find(name) != nullptr) {
        throw BadModel("value '" + name + "' is defined twice, once by " + describe(node));
      }
    }
  }
  for (const auto& info : infos) {
    if (made.contains(info.name()) && !graph_.find(info.name())) graph_.add_value(info.name());
  }
  for (const auto& node : nodes) {
    for (const std::string& name : node.output()) {
      if (!name.empty() && graph_.find(name) == nullptr) graph_.add_value(name);
    }
  }
}

void GraphLoader::add_graph_output(const std::string& name) {
  Value* value = resolve(name);
  if (value == nullptr) {
    throw BadModel("output '" + name + "' of the graph is defined nowhere");
  }
  const auto& outputs = graph_.outputs();
  if (value->is_graph_output() && std::ranges::find(outputs, value) != outputs.end()) {
    throw BadModel("output '" + name + "' of the graph is listed twice");
  }
  graph_.add_output(value);
}

void GraphLoader::load_outputs(RepeatedPtrField<proto::ValueInfoProto>& outputs) {
  for (auto& info : outputs) {
    add_graph_output(info.name());
    Value* value = graph_.outputs().back();
    ValueType type = take_type(info);
    info.clear_name();
    if (contradict(value->type, type)) {
      throw BadModel("output '" + value->name() + "' is declared as " + to_string(type) +
                     " but is " + to_string(value->type));
    }
    // Inputs, initializers and values of outer graphs have told their type already.
    if (value->graph() != &graph_) continue;
    if (!value->is_graph_input() && !has_constant(*value)) value->type = std::move(type);
    if (!value->is_graph_input()) value->extra = encode_rest(info);
  }
  outputs.Clear();
}

// Keeps in `infos` the entries that no value can hold: those of values that nothing defines (left
// behind by other tools), and second opinions on inputs and outputs.
void GraphLoader::load_value_infos(RepeatedPtrField<proto::ValueInfoProto>& infos) {
  int kept = 0;
  for (int i = 0; i < infos.size(); ++i) {
    if (!take_value_info(infos[i])) infos.SwapElements(kept++, i);
  }
  infos.DeleteSubrange(kept, infos.size() - kept);
}

// False where the entry is not taken; it is unchanged then.
bool GraphLoader::take_value_info(proto::ValueInfoProto& info) {
  Value* value = graph_.find(info.name());
  if (value == nullptr) return false;
  proto::ValueInfoProto taken = info;
  ValueType type = take_type(taken);
  taken.clear_name();
  std::string extra = encode_rest(taken);
  if (contradict(value->type, type)) {
    throw BadModel("value '" + info.name() + "' is declared as " + to_string(type) + " but is " +
                   to_string(value->type));
  }
  const bool told = value->is_graph_input() || value->is_graph_output() || value->declared;
  if (told && value->extra != extra) return false;
  if ((told || has_constant(*value)) && value->type != type) return false;
  value->declared = true;
  value->type = std::move(type);
  value->extra = std::move(extra);
  return true;
}

void GraphLoader::load_nodes(RepeatedPtrField<proto::NodeProto>& nodes) {
  for (auto& node : nodes) {
    try {
      load_node(node);
    } catch (const BadModel& error) {
      throw BadModel(describe(node) + ": " + error.what());
    }
    node.Clear();  // frees as it goes: a large model is never in memory twice
  }
  nodes.Clear();
}

void GraphLoader::load_node(proto::NodeProto& message) {
  if (message.op_type().empty()) throw BadModel("has no op_type");
  Node* node = graph_.add_node(message.op_type(), {}, 0);
  node->domain = canonical_domain(message.domain());
  node->overload = message.overload();
  node->name = message.name();
  for (int i = 0; i < message.input_size(); ++i) {
    const std::string& name = message.input(i);
    Value* value = name.empty() ? nullptr : resolve(name);
    if (value == nullptr && !name.empty()) {
      std::vector<std::string> known;
      for (const Graph* graph = &graph_; graph != nullptr; graph = graph->parent()) {
        for (const Value* candidate : graph->values()) known.push_back(candidate->name());
      }
      const std::string nearest = nearest_name(name, known);
      throw BadModel("reads '" + name + "', which nothing defines" +
                     (nearest.empty() ? "" : "; is '" + nearest + "' meant?"));
    }
    node->set_input(static_cast<size_t>(i), value);
  }
  for (const std::string& name : message.output()) {
    node->add_output(name.empty() ? nullptr : graph_.find(name));
  }
  for (auto& attribute : *message.mutable_attribute()) {
    if (node->attribute(attribute.name()) != nullptr) {
      throw BadModel("has two attributes '" + attribute.name() + "'");
    }
    node->attributes().push_back(take_attribute(attribute, graph_, files_));
  }
  message.clear_input();
  message.clear_output();
  message.clear_attribute();
  message.clear_op_type();
  if (!message.domain().empty()) message.clear_domain();
  if (!message.overload().empty()) message.clear_overload();
  if (!message.name().empty()) message.clear_name();
  node->extra = encode_rest(message);
}

Value* GraphLoader::resolve(const std::string& name) const { return graph_.lookup(name); }

}  // namespace

void load_graph(proto::GraphProto& message, Graph& graph, ExternalFiles& files) {
  GraphLoader(graph, files).load(message);
}

void load_function(proto::FunctionProto& message, Function& function, ExternalFiles& files) {
  function.graph = std::make_unique<Graph>();
  GraphLoader(*function.graph, files).load(message, function);
}

}  // namespace dwindle
