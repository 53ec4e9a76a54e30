// Model: a graph with what ONNX says around it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/ir/graph.h"

namespace dwindle {

// A function local to the model: a graph whose inputs have no types and whose attributes may refer
// to those of the calling node.
struct Function {
  std::string domain, name, overload;
  std::vector<std::string> attributes;  // names without a default
  std::vector<Attribute> default_attributes;
  std::map<std::string, int64_t> opsets;
  std::unique_ptr<Graph> graph;
  std::string extra;
};

struct Model {
  Model() : graph(std::make_unique<Graph>()) {}

  int64_t ir_version = 8;
  std::map<std::string, int64_t> opsets;  // domain to version; ai.onnx is ""
  std::unique_ptr<Graph> graph;
  std::vector<Function> functions;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::string extra;                        // producer, doc string, training info, …, encoded
  std::string file;                         // it was loaded from; empty: none
  std::vector<std::string> external_files;  // that its tensors were mapped from

  // Version of ai.onnx. Raises BadModel where the model imports none.
  int64_t opset() const;
  // The function that `node` calls, or null.
  const Function* function_of(const Node& node) const;
  // A copy that shares the bytes of the tensors. Adds its values to `values` by those that they
  // stand for, except those of functions.
  Model clone() const;
  Model clone(std::unordered_map<const Value*, Value*>& values) const;
};

// Copies the nodes of `from` to `to` before `before`, with values (initializers too) that
// `values` does not map yet; adds them to `values`. Values of graphs outside `from` are used as
// they are where `values` does not map them. Fresh names are given where names are taken in the
// graph that a value comes to or, on `unique_names`, anywhere in its model.
void copy_nodes(const Graph& from, Graph& to, std::unordered_map<const Value*, Value*>& values,
                Node* before = nullptr, bool unique_names = false);
// Copies a whole graph, inputs and outputs included, into `to`, which is empty.
void copy_graph(const Graph& from, Graph& to, std::unordered_map<const Value*, Value*>& values,
                bool unique_names = false);

}  // namespace dwindle
