#include "core/ir/graph.h"

#include <algorithm>
#include <queue>
#include <stdexcept>

#include "core/support/error.h"

namespace dwindle {
namespace {

// Whether `graph` itself has `value` as an output.
bool lists(const Graph& graph, const Value* value) {
  if (!value->is_graph_output()) return false;
  return std::find(graph.outputs().begin(), graph.outputs().end(), value) != graph.outputs().end();
}

// Graphs nested in `outermost` may hand out its values as they are.
void replace_nested_outputs(Graph& outermost, const Value* old, Value* by) {
  for_each_graph(outermost, [&](Graph& graph) {
    if (&graph == &outermost || !lists(graph, old)) return;
    // A graph lists a value once.
    Value* output = lists(graph, by) ? graph.add_node("Identity", {by})->output() : by;
    output->type = by->type;
    for (size_t i = 0; i < graph.outputs().size(); ++i) {
      if (graph.outputs()[i] == old) graph.set_output(i, output);
    }
  });
}

}  // namespace

Graph::~Graph() {
  // Last to first: users go before what they use, and all nodes before the values.
  for (Node* node = last_; node != nullptr;) {
    Node* previous = node->previous_;
    delete node;
    node = previous;
  }
}

Graph* Graph::root() {
  Graph* graph = this;
  while (graph->parent_ != nullptr) graph = graph->parent_;
  return graph;
}

std::vector<Value*> Graph::values() const {
  std::vector<Value*> values;
  values.reserve(values_.size());
  for (const auto& value : values_) values.push_back(value.get());
  return values;
}

std::vector<Value*> Graph::initializers() const {
  std::vector<Value*> found;
  for (const auto& value : values_) {
    if (value->initializer() != nullptr || value->sparse_initializer() != nullptr) {
      found.push_back(value.get());
    }
  }
  return found;
}

Value* Graph::find(std::string_view name) const {
  auto it = by_name_.find(std::string(name));
  return it == by_name_.end() ? nullptr : it->second;
}

Value* Graph::lookup(std::string_view name) const {
  for (const Graph* graph = this; graph != nullptr; graph = graph->parent_) {
    if (Value* value = graph->find(name)) return value;
  }
  return nullptr;
}

std::string Graph::fresh_name(const std::string& hint) {
  const auto& used = root()->used_names_;
  const std::string base = hint.empty() ? "value" : hint;
  if (!used.contains(base)) return base;
  for (int& number = root()->next_number_.try_emplace(base, 1).first->second;; ++number) {
    std::string name = base + "_" + std::to_string(number);
    if (!used.contains(name)) return name;
  }
}

Value* Graph::add_value(const std::string& name) {
  if (name.empty()) throw BadModel("a value has no name");
  if (by_name_.contains(name)) throw BadModel("two values are named '" + name + "'");
  values_.push_back(std::unique_ptr<Value>(new Value(this, name)));
  Value* value = values_.back().get();
  value->self_ = std::prev(values_.end());
  by_name_.emplace(name, value);
  root()->used_names_.insert(name);
  return value;
}

Value* Graph::add_input(Value* value) {
  if (value->producer_ != nullptr || value->graph_input_) {
    throw BadModel("graph input '" + value->name() + "' is defined twice");
  }
  value->graph_input_ = true;
  inputs_.push_back(value);
  return value;
}

void Graph::remove_input(size_t index) {
  inputs_[index]->graph_input_ = false;
  inputs_.erase(inputs_.begin() + static_cast<std::ptrdiff_t>(index));
}

void Graph::add_output(Value* value) {
  ++value->graph_outputs_;
  outputs_.push_back(value);
}

void Graph::set_output(size_t index, Value* value) {
  --outputs_[index]->graph_outputs_;
  outputs_[index] = value;
  ++value->graph_outputs_;
}

Value* Graph::add_initializer(const std::string& name_hint, Tensor tensor) {
  Value* value = add_value(fresh_name(name_hint));
  value->set_initializer(std::move(tensor));
  return value;
}

void Graph::link(Node* node, Node* before) {
  node->next_ = before;
  node->previous_ = before == nullptr ? last_ : before->previous_;
  (node->previous_ == nullptr ? first_ : node->previous_->next_) = node;
  (before == nullptr ? last_ : before->previous_) = node;
  ++num_nodes_;
}

// The node keeps its own links, so that a loop standing on it finds its way on.
void Graph::unlink(Node* node) {
  (node->previous_ == nullptr ? first_ : node->previous_->next_) = node->next_;
  (node->next_ == nullptr ? last_ : node->next_->previous_) = node->previous_;
  --num_nodes_;
}

Node* Graph::add_node(const std::string& op_type, const std::vector<Value*>& inputs,
                      size_t num_outputs, Node* before, const std::string& name_hint) {
  Node* node = new Node(this);
  node->op_type = op_type;
  link(node, before);
  node->inputs_.reserve(inputs.size());
  for (Value* input : inputs) node->add_input(input);
  const std::string hint = name_hint.empty() ? op_type : name_hint;
  for (size_t i = 0; i < num_outputs; ++i) node->add_output(add_value(fresh_name(hint)));
  return node;
}

void Graph::move_before(Node* node, Node* before) {
  if (node == before) return;
  unlink(node);
  link(node, before);
}

void Graph::erase(Node* node) {
  for (Value* output : node->outputs_) {
    if (output != nullptr && !output->unused()) {
      throw std::logic_error("erase: output '" + output->name() + "' of node '" + node->name +
                             "' is used");
    }
  }
  for (size_t i = 0; i < node->outputs_.size(); ++i) node->drop_output(i);
  node->resize_inputs(0);
  node->attributes_.clear();
  unlink(node);
  node->erased_ = true;
  erased_.emplace_back(node);
}

void Graph::erase(Value* value) {
  if (!value->unused() || value->producer_ != nullptr || value->graph_input_) {
    throw std::logic_error("erase: value '" + value->name() + "' is used or produced");
  }
  by_name_.erase(value->name_);
  values_.erase(value->self_);
}

bool Graph::can_replace(const Value* old, const Value* by) const {
  if (old->graph_outputs_ == 0) return true;
  if (old->graph_ == by->graph_ && by->producer_ != nullptr && by->graph_outputs_ == 0 &&
      !by->graph_input_) {
    return true;
  }
  return !lists(*old->graph_, old);
}

void Graph::replace(Value* old, Value* by) {
  if (old == by) return;
  // An input that is handed out as an output stays that: only its readers change.
  const bool listed = lists(*this, old), outputs_move = listed && !old->graph_input_;
  if (outputs_move && !can_replace(old, by)) {
    Node* identity = add_node("Identity", {by});
    // The new node must come before the uses of its output and after `by` is defined.
    if (old->producer_ != nullptr) move_before(identity, old->producer_->next());
    identity->output()->type = by->type;
    by = identity->output();
  }
  while (!old->uses_.empty()) {
    const Use use = old->uses_.back();
    use.node->set_input(use.input, by);
  }
  if (old->graph_outputs_ > (listed ? 1 : 0)) replace_nested_outputs(*this, old, by);
  if (!outputs_move) return;
  for (size_t i = 0; i < outputs_.size(); ++i) {
    if (outputs_[i] == old) set_output(i, by);
  }
  const std::string name = old->name_;
  const std::string spare = fresh_name(name);
  old->rename(spare);
  by->rename(name);
  by->extra = old->extra;
  if (old->type.shape || !by->type.shape) by->type = old->type;
}

void Graph::sort() {
  // Kahn's algorithm over a queue ordered by the given position: a valid order stays as it is.
  std::vector<Node*> order;
  std::unordered_map<const Node*, size_t> position;
  for (Node* node : nodes()) {
    position.emplace(node, order.size());
    order.push_back(node);
  }
  // What a node waits for: producers in this graph, of its own inputs and of its nested graphs'.
  std::vector<size_t> waiting(order.size(), 0);
  std::vector<std::vector<size_t>> waiters(order.size());
  auto wait = [&](size_t user, const Value* value) {
    if (value == nullptr || value->graph_ != this || value->producer_ == nullptr) return;
    ++waiting[user];
    waiters[position.at(value->producer_)].push_back(user);
  };
  for (size_t i = 0; i < order.size(); ++i) {
    for (const Node::Input& input : order[i]->inputs_) wait(i, input.value);
    for (Graph* nested : order[i]->nested_graphs()) {
      for_each_graph(*nested, [&](Graph& graph) {
        for (Node* inner : graph.nodes()) {
          for (const Node::Input& input : inner->inputs_) wait(i, input.value);
        }
        for (Value* output : graph.outputs()) wait(i, output);
      });
    }
  }
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
  for (size_t i = 0; i < order.size(); ++i) {
    if (waiting[i] == 0) ready.push(i);
  }
  std::vector<size_t> sorted;
  while (!ready.empty()) {
    const size_t i = ready.top();
    ready.pop();
    sorted.push_back(i);
    for (size_t user : waiters[i]) {
      if (--waiting[user] == 0) ready.push(user);
    }
  }
  if (sorted.size() < order.size()) {
    std::string names;
    int listed = 0;
    for (size_t i = 0; i < order.size() && listed < 5; ++i) {
      if (waiting[i] == 0) continue;
      const Node* node = order[i];
      names += std::string(listed++ > 0 ? ", " : "") + node->op_type + " '" + node->name + "'";
    }
    throw BadModel("the graph has a cycle through or before: " + names);
  }
  for (size_t i : sorted) move_before(order[i], nullptr);
}

void Graph::sweep() { erased_.clear(); }

}  // namespace dwindle
