// Graph, Node and Value: a computation as nodes that read and define values.
//
// Every value knows who defines it and who uses it, also from nested graphs, so a pass rewires a
// graph without searching it. Pointers stay valid until the object is erased; nodes may be erased
// and inserted while a loop runs over nodes().
#pragma once

#include <cstdint>
#include <iterator>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/ir/attribute.h"
#include "core/ir/shape.h"
#include "core/ir/tensor.h"

namespace dwindle {

class Graph;
class Node;

// Input number `input` of `node`.
struct Use {
  Node* node;
  size_t input;
};

// A tensor (or sequence, map, …) that flows through a graph: a graph input, an initializer, or the
// output of a node.
class Value {
 public:
  const std::string& name() const { return name_; }
  // Raises BadModel where the graph has another value of that name.
  void rename(const std::string& name);

  ValueType type;
  bool declared = false;     // listed in the file's value_info
  std::string extra;         // what else the file says of it (doc string, metadata), encoded
  std::string tensor_extra;  // the same of its initializer

  Graph* graph() const { return graph_; }
  Node* producer() const { return producer_; }  // null: graph input or initializer
  size_t output_index() const { return output_index_; }
  const std::vector<Use>& uses() const { return uses_; }
  bool is_graph_input() const { return graph_input_; }
  bool is_graph_output() const { return graph_outputs_ > 0; }
  // Whether nobody reads it.
  bool unused() const { return uses_.empty() && graph_outputs_ == 0; }

  // The constant that it starts with, or null. A graph input may have one too (a default that the
  // caller can override): such a value is no constant.
  const Tensor* initializer() const { return initializer_ ? &*initializer_ : nullptr; }
  const SparseTensor* sparse_initializer() const { return sparse_.get(); }
  void set_initializer(Tensor tensor);  // sets `type` too
  void set_sparse_initializer(SparseTensor tensor);

  // Its constant value where it always has the same: an initializer that is no graph input, or the
  // output of a Constant node that holds a tensor. Null otherwise.
  const Tensor* constant() const;

 private:
  friend class Graph;
  friend class Node;
  Value(Graph* graph, std::string name) : graph_(graph), name_(std::move(name)) {}

  Graph* graph_;
  std::string name_;
  Node* producer_ = nullptr;
  size_t output_index_ = 0;
  std::vector<Use> uses_;
  int graph_outputs_ = 0;
  bool graph_input_ = false;
  std::optional<Tensor> initializer_;
  std::unique_ptr<SparseTensor> sparse_;
  std::list<std::unique_ptr<Value>>::iterator self_;
};

class Node {
 public:
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  std::string op_type;
  std::string domain;  // "" is ai.onnx
  std::string overload;
  std::string name;
  std::string extra;  // doc string, metadata, device configuration, encoded

  Graph* graph() const { return graph_; }
  bool is(std::string_view type, std::string_view in_domain = "") const {
    return op_type == type && domain == in_domain;
  }

  // Inputs and outputs that are omitted are null.
  size_t num_inputs() const { return inputs_.size(); }
  size_t num_outputs() const { return outputs_.size(); }
  // Null also past the end, so that optional inputs need no check of the count.
  Value* input(size_t index) const {
    return index < inputs_.size() ? inputs_[index].value : nullptr;
  }
  Value* output(size_t index = 0) const {
    return index < outputs_.size() ? outputs_[index] : nullptr;
  }
  std::vector<Value*> inputs() const;
  const std::vector<Value*>& outputs() const { return outputs_; }

  void set_input(size_t index, Value* value);  // grows the list with omitted inputs where needed
  void add_input(Value* value) { set_input(inputs_.size(), value); }
  void resize_inputs(size_t count);
  // `value` must have no producer yet (BadModel). Null: an omitted output.
  void add_output(Value* value);
  // Gives output `index` up: the value stays as it is, for another node to define (add_output); the
  // place stays omitted.
  Value* take_output(size_t index);
  // Forgets output `index`, which must be unused: the value is erased, the place stays omitted.
  void drop_output(size_t index);

  std::vector<Attribute>& attributes() { return attributes_; }
  const std::vector<Attribute>& attributes() const { return attributes_; }
  const Attribute* attribute(std::string_view name) const;
  void remove_attribute(std::string_view name);
  void set_attribute(std::string name, Attribute::Value value);

  // Attributes by type. Raise BadModel where the attribute is there with another type.
  int64_t int_attribute(std::string_view name, int64_t otherwise) const;
  float float_attribute(std::string_view name, float otherwise) const;
  std::string string_attribute(std::string_view name, std::string otherwise) const;
  std::optional<std::vector<int64_t>> ints_attribute(std::string_view name) const;
  std::optional<std::vector<float>> floats_attribute(std::string_view name) const;
  std::optional<std::vector<std::string>> strings_attribute(std::string_view name) const;
  const Tensor* tensor_attribute(std::string_view name) const;  // null where absent
  Graph* graph_attribute(std::string_view name) const;          // null where absent
  // All graphs in attributes, in order.
  std::vector<Graph*> nested_graphs() const;

  Node* next() const;  // in the graph's order; null at the end

 private:
  friend class Graph;
  explicit Node(Graph* graph) : graph_(graph) {}
  void detach(size_t index);
  template <typename T>
  const T* typed_attribute(std::string_view name, const char* type) const;

  struct Input {
    Value* value = nullptr;
    size_t place = 0;  // in value->uses_
  };
  Graph* graph_;
  std::vector<Input> inputs_;
  std::vector<Value*> outputs_;
  std::vector<Attribute> attributes_;
  Node* next_ = nullptr;
  Node* previous_ = nullptr;
  bool erased_ = false;
};

// A range over the live nodes of a graph, in order, that stands erasing and inserting.
class NodeRange {
 public:
  class iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = Node*;
    using difference_type = std::ptrdiff_t;
    using pointer = Node**;
    using reference = Node*;
    explicit iterator(Node* node) : node_(node) {}
    Node* operator*() const { return node_; }
    iterator& operator++() {
      node_ = node_->next();
      return *this;
    }
    bool operator==(const iterator&) const = default;

   private:
    Node* node_;
  };
  explicit NodeRange(Node* first) : first_(first) {}
  iterator begin() const { return iterator(first_); }
  iterator end() const { return iterator(nullptr); }

 private:
  Node* first_;
};

// Nodes in an order in which every value is defined before it is used, the values, and which of
// them are the graph's inputs and outputs.
class Graph {
 public:
  // A nested graph has a parent, whose values it may read.
  explicit Graph(Graph* parent = nullptr) : parent_(parent) {}
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  std::string name;
  std::string extra;  // doc string, metadata, quantization annotations, encoded

  Graph* parent() const { return parent_; }

  NodeRange nodes() const { return NodeRange(first_); }
  size_t num_nodes() const { return num_nodes_; }
  Node* last_node() const { return last_; }
  const std::vector<Value*>& inputs() const { return inputs_; }
  const std::vector<Value*>& outputs() const { return outputs_; }
  // All values defined here, in the order of their creation.
  std::vector<Value*> values() const;
  std::vector<Value*> initializers() const;  // sparse ones included

  // The value of that name here, or null; `lookup` asks the parents too.
  Value* find(std::string_view name) const;
  Value* lookup(std::string_view name) const;
  // `hint`, or `hint` with a number behind it: a name that no value of the model has.
  std::string fresh_name(const std::string& hint);

  // A value that nothing defines yet. Raises BadModel where the name is taken here or empty.
  Value* add_value(const std::string& name);
  Value* add_input(Value* value);
  void add_output(Value* value);
  void set_output(size_t index, Value* value);
  void remove_input(size_t index);  // the value stays
  Value* add_initializer(const std::string& name_hint, Tensor tensor);

  // A node before `before` (at the end where null), with fresh output names `name_hint…`.
  Node* add_node(const std::string& op_type, const std::vector<Value*>& inputs,
                 size_t num_outputs = 1, Node* before = nullptr, const std::string& name_hint = "");
  void move_before(Node* node, Node* before);
  // The outputs must be unused (std::logic_error); they are erased too.
  void erase(Node* node);
  // An unused value that no node produces (an initializer).
  void erase(Value* value);

  // Makes every use of `old` read `by` instead, also as a graph output. An output keeps its name:
  // `by` takes it over where it can, otherwise an Identity node is put between.
  void replace(Value* old, Value* by);
  // Whether replace() would do without an Identity.
  bool can_replace(const Value* old, const Value* by) const;

  // Orders the nodes by their dependencies, keeping the given order where it is valid. Raises
  // BadModel, naming the nodes, where there is a cycle.
  void sort();
  // Frees what erase() took away. Call it when no loop runs over the nodes.
  void sweep();

 private:
  friend class Value;
  friend class Node;
  void link(Node* node, Node* before);
  void unlink(Node* node);
  Graph* root();

  Graph* parent_;
  Node* first_ = nullptr;
  Node* last_ = nullptr;
  size_t num_nodes_ = 0;
  std::vector<std::unique_ptr<Node>> erased_;
  std::list<std::unique_ptr<Value>> values_;
  std::unordered_map<std::string, Value*> by_name_;
  std::unordered_set<std::string> used_names_;  // of the whole model; in the root only
  // Where fresh_name() goes on counting, by hint, so that many names of one hint cost no search.
  std::unordered_map<std::string, int> next_number_;  // in the root only
  std::vector<Value*> inputs_;
  std::vector<Value*> outputs_;
};

// Calls `visit(graph)` for `graph` and every graph nested in it, outermost first.
template <typename Visit>
void for_each_graph(Graph& graph, Visit&& visit) {
  visit(graph);
  for (Node* node : graph.nodes()) {
    for (Graph* nested : node->nested_graphs()) for_each_graph(*nested, visit);
  }
}

}  // namespace dwindle
