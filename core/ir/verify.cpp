#include "core/ir/verify.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "core/ir/tensor_faults.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

constexpr size_t kMostListed = 5;

std::string label(const Node& node) {
  std::string text = node.op_type + " node '" + node.name + "'";
  if (node.name.empty() && node.output(0) != nullptr) {
    text = "the " + node.op_type + " node that makes '" + node.output(0)->name() + "'";
  }
  return text;
}

std::string key(const std::string& domain, const std::string& name, const std::string& overload) {
  return domain + '\0' + name + '\0' + overload;
}

std::string name_of(const Function& function) {
  return (function.domain.empty() ? "ai.onnx" : function.domain) + "." + function.name;
}

// The items that come in no order in which each follows what it needs: those of a cycle, and those
// that need them. (Kahn's algorithm.)
std::vector<size_t> without_order(const std::vector<std::vector<size_t>>& needs) {
  std::vector<size_t> open(needs.size());
  std::vector<std::vector<size_t>> needed_by(needs.size());
  std::vector<size_t> ready;
  for (size_t i = 0; i < needs.size(); ++i) {
    open[i] = needs[i].size();
    for (size_t other : needs[i]) needed_by[other].push_back(i);
    if (open[i] == 0) ready.push_back(i);
  }
  while (!ready.empty()) {
    const size_t done = ready.back();
    ready.pop_back();
    for (size_t user : needed_by[done]) {
      if (--open[user] == 0) ready.push_back(user);
    }
  }
  std::vector<size_t> stuck;
  for (size_t i = 0; i < needs.size(); ++i) {
    if (open[i] > 0) stuck.push_back(i);
  }
  return stuck;
}

class Verifier {
 public:
  explicit Verifier(const Model& model) : model_(model) {}
  std::vector<std::string> run();

 private:
  void collect(Graph& graph);
  void check_graph(const Graph& graph);
  void check_interface(const Graph& graph);
  void check_value(const Value& value);
  void check_node(const Node& node);
  void check_read(const Node& node, const Value* value);
  void check_attributes(const Node& node);
  void check_outputs(const Node& node);
  void check_graph_outputs(const Graph& graph);
  void report_cycle(const Graph& graph);
  void check_functions();
  void fault(const std::string& what) { faults_.push_back(where_ + what); }

  const Model& model_;
  std::vector<std::string> faults_;
  std::string where_;  // prefix of messages: the function or graph
  const std::map<std::string, int64_t>* opsets_ = nullptr;
  const Function* function_ = nullptr;     // that is being checked, or null
  std::unordered_set<const Value*> live_;  // all values of the model
  std::unordered_set<const Node*> live_nodes_;
  std::unordered_map<const Value*, size_t> reads_;  // by nodes
  std::unordered_set<const Value*> defined_;        // so far, in the graph and those around it
  bool out_of_order_ = false;
};

std::vector<std::string> Verifier::run() {
  collect(*model_.graph);
  for (const Function& function : model_.functions) collect(*function.graph);
  opsets_ = &model_.opsets;
  check_graph(*model_.graph);
  check_functions();
  return std::move(faults_);
}

void Verifier::collect(Graph& outermost) {
  for_each_graph(outermost, [&](Graph& graph) {
    for (const Value* value : graph.values()) live_.insert(value);
    for (const Node* node : graph.nodes()) {
      live_nodes_.insert(node);
      for (const Value* input : node->inputs()) ++reads_[input];
    }
  });
}

void Verifier::check_graph(const Graph& graph) {
  check_interface(graph);
  const bool outer_order = std::exchange(out_of_order_, false);
  for (const Node* node : graph.nodes()) check_node(*node);
  check_graph_outputs(graph);
  if (out_of_order_) report_cycle(graph);
  out_of_order_ = outer_order;
  for (const Value* value : graph.values()) defined_.erase(value);
}

void Verifier::check_interface(const Graph& graph) {
  std::unordered_set<const Value*> inputs;
  for (const Value* input : graph.inputs()) {
    if (!live_.contains(input)) {
      fault("an input of the graph is no value of the model");
    } else if (!inputs.insert(input).second || input->producer() != nullptr) {
      fault("graph input '" + input->name() + "' is defined twice");
    }
  }
  for (const Value* value : graph.values()) {
    check_value(*value);
    const bool constant = value->initializer() != nullptr || value->sparse_initializer() != nullptr;
    if (constant || inputs.contains(value)) defined_.insert(value);
  }
}

void Verifier::check_value(const Value& value) {
  const std::string name = "value '" + value.name() + "' ";
  if (value.type.shape) {
    for (const Dim& dim : *value.type.shape) {
      if (dim.extent < Dim::kUnknown) fault(name + "has a negative extent");
    }
  }
  if (const Tensor* tensor = value.initializer()) {
    if (std::string what = fault_of(*tensor); !what.empty()) fault(name + what);
    if (!fits(value.type, tensor->dtype(), tensor->shape())) {
      fault(name + "is declared as " + to_string(value.type) + " but its initializer is " +
            std::string(dtype_name(tensor->dtype())) + to_string(tensor->shape()));
    }
  }
  if (const SparseTensor* sparse = value.sparse_initializer()) {
    if (std::string what = fault_of(*sparse); !what.empty()) fault(name + what);
    if (!fits(value.type, sparse->values.dtype(), sparse->shape)) {
      fault(name + "is declared as " + to_string(value.type) +
            " but its sparse initializer is of another type");
    }
  }
  if (value.producer() != nullptr && (value.initializer() || value.sparse_initializer())) {
    fault(name + "is defined twice: by a node and by an initializer");
  }
  size_t listed = 0;
  for (const Use& use : value.uses()) {
    listed += live_nodes_.contains(use.node) && use.node->input(use.input) == &value;
  }
  const auto reads = reads_.find(&value);
  if (listed != value.uses().size() || listed != (reads == reads_.end() ? 0 : reads->second)) {
    fault(name + "has a broken use-list");
  }
}

void Verifier::check_node(const Node& node) {
  if (node.op_type.empty()) fault(label(node) + " has no op_type");
  if (!opsets_->contains(node.domain)) {
    fault(label(node) + ": operator set '" + (node.domain.empty() ? "ai.onnx" : node.domain) +
          "' is not imported");
  }
  for (const Value* input : node.inputs()) {
    if (input != nullptr) check_read(node, input);
  }
  check_attributes(node);
  check_outputs(node);
}

void Verifier::check_read(const Node& node, const Value* value) {
  if (defined_.contains(value)) return;
  if (!live_.contains(value)) {
    fault(label(node) + " reads a value that is no longer in the model");
    return;
  }
  const Graph* graph = node.graph();
  while (graph != nullptr && graph != value->graph()) graph = graph->parent();
  if (graph == nullptr) {
    fault(label(node) + " reads '" + value->name() + "' of a graph that it is not in");
  } else if (value->producer() == nullptr) {
    fault(label(node) + " reads '" + value->name() + "', which nothing defines");
  } else {
    fault(label(node) + " reads '" + value->name() + "' before it is defined");
    out_of_order_ = true;
  }
}

void Verifier::check_attributes(const Node& node) {
  std::set<std::string_view> names;
  for (const Attribute& attribute : node.attributes()) {
    const std::string name = label(node) + ": attribute '" + attribute.name + "' ";
    if (!names.insert(attribute.name).second) fault(name + "is there twice");
    if (const Tensor* tensor = std::get_if<Tensor>(&attribute.value)) {
      if (std::string what = fault_of(*tensor); !what.empty()) fault(name + what);
    }
    if (attribute.reference.empty()) continue;
    bool known = function_ != nullptr &&
                 std::find(function_->attributes.begin(), function_->attributes.end(),
                           attribute.reference) != function_->attributes.end();
    if (function_ != nullptr) {
      for (const Attribute& other : function_->default_attributes) {
        known = known || other.name == attribute.reference;
      }
    }
    if (!known) fault(name + "refers to '" + attribute.reference + "', which no function has");
  }
  for (const Graph* nested : node.nested_graphs()) {
    if (nested->parent() != node.graph()) {
      fault(label(node) + " holds a graph that belongs elsewhere");
      continue;
    }
    const std::string outer = where_;
    where_ += "in " + label(node) + ": ";
    check_graph(*nested);
    where_ = outer;
  }
}

// ONNX wants single assignment across nested graphs too, for what nodes define.
void Verifier::check_outputs(const Node& node) {
  for (size_t i = 0; i < node.num_outputs(); ++i) {
    const Value* output = node.output(i);
    if (output == nullptr) continue;
    if (!live_.contains(output)) {
      fault(label(node) + " defines a value that is not in the model");
      continue;
    }
    if (output->producer() != &node || output->output_index() != i ||
        output->graph() != node.graph() || !defined_.insert(output).second) {
      fault(label(node) + ": value '" + output->name() + "' is defined twice");
    }
    for (const Graph* outer = node.graph()->parent(); outer != nullptr; outer = outer->parent()) {
      const Value* clash = outer->find(output->name());
      if (clash != nullptr && defined_.contains(clash)) {
        fault(label(node) + ": value '" + output->name() +
              "' has the name of a value of an outer graph");
        break;
      }
    }
  }
}

void Verifier::check_graph_outputs(const Graph& graph) {
  std::unordered_set<const Value*> outputs;
  for (const Value* output : graph.outputs()) {
    if (!live_.contains(output)) {
      fault("an output of the graph is no value of the model");
    } else if (!defined_.contains(output)) {
      fault("graph output '" + output->name() + "' is defined nowhere");
    } else if (!outputs.insert(output).second) {
      fault("graph output '" + output->name() + "' is listed twice");
    }
  }
}

// Nodes out of order are a cycle where no order would do.
void Verifier::report_cycle(const Graph& graph) {
  std::vector<const Node*> nodes;
  std::unordered_map<const Node*, size_t> position;
  for (const Node* node : graph.nodes()) {
    position.emplace(node, nodes.size());
    nodes.push_back(node);
  }
  std::vector<std::vector<size_t>> needs(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    const auto need = [&](const Value* value) {
      if (value == nullptr || !live_.contains(value)) return;
      const auto it = position.find(value->producer());
      if (it != position.end()) needs[i].push_back(it->second);
    };
    for (const Value* value : nodes[i]->inputs()) need(value);
    for (Graph* nested : nodes[i]->nested_graphs()) {
      for_each_graph(*nested, [&](Graph& inner) {
        for (const Node* reader : inner.nodes()) {
          for (const Value* value : reader->inputs()) need(value);
        }
        for (const Value* value : inner.outputs()) need(value);
      });
    }
  }
  const std::vector<size_t> stuck = without_order(needs);
  if (stuck.empty()) return;
  std::string names;
  for (size_t i = 0; i < stuck.size() && i < kMostListed; ++i) {
    names += (i > 0 ? ", " : "") + label(*nodes[stuck[i]]);
  }
  fault("the graph has a cycle through or before: " + names);
}

void Verifier::check_functions() {
  std::map<std::string, size_t> by_key;
  for (const Function& function : model_.functions) {
    where_ = "function '" + name_of(function) + "': ";
    if (!by_key.emplace(key(function.domain, function.name, function.overload), by_key.size())
             .second) {
      fault("is defined twice");
    }
    function_ = &function;
    opsets_ = &function.opsets;
    check_graph(*function.graph);
  }
  where_.clear();
  if (by_key.size() < model_.functions.size()) return;  // positions would not match
  std::vector<std::vector<size_t>> calls(model_.functions.size());
  for (size_t i = 0; i < calls.size(); ++i) {
    for_each_graph(*model_.functions[i].graph, [&](Graph& graph) {
      for (const Node* node : graph.nodes()) {
        const auto it = by_key.find(key(node->domain, node->op_type, node->overload));
        if (it != by_key.end()) calls[i].push_back(it->second);
      }
    });
  }
  for (size_t i : without_order(calls)) {
    fault("function '" + name_of(model_.functions[i]) + "' calls itself, or one that does");
  }
}

}  // namespace

std::vector<std::string> find_faults(const Model& model) { return Verifier(model).run(); }

void verify(const Model& model) {
  const std::vector<std::string> faults = find_faults(model);
  if (faults.empty()) return;
  std::string text = "the model is not valid: ";
  for (size_t i = 0; i < faults.size() && i < kMostListed; ++i) {
    text += (i > 0 ? "; " : "") + faults[i];
  }
  if (faults.size() > kMostListed) {
    text += "; and " + std::to_string(faults.size() - kMostListed) + " more";
  }
  throw BadModel(text);
}

}  // namespace dwindle
