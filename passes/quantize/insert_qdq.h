// Puts QuantizeLinear / DequantizeLinear into graphs.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "core/ir/graph.h"
#include "core/quant/params.h"

namespace dwindle::passes {

// Adds the nodes and the initializers that they need; equal scales and zero points of a graph
// become one initializer, and weights that several nodes of a graph share stay shared.
class QdqInserter {
 public:
  // Value → QuantizeLinear → DequantizeLinear → all that read the value, nested graphs too. A graph
  // output keeps its name. A constant becomes an integer initializer with a DequantizeLinear alone.
  // Returns what is dequantized.
  Value* quantize(Value* value, QuantParams params, DType dtype);
  // The same for `readers`, uses of the value, alone; all others go on reading it in float.
  Value* quantize_for(const std::vector<Use>& readers, Value* value, QuantParams params,
                      DType dtype);
  // Gives those `readers` of `dequantized` that are in nested graphs a DequantizeLinear there, one
  // a graph: runtimes fuse none across the border.
  void dequantize_in_bodies(Value* dequantized, const std::vector<Use>& readers);

  // DequantizeLinear of the integer form of the constant `real`, placed with its constants in the
  // graph of `before`, which may be nested in that of `real`. `scales`: rank 0 or, along `axis`,
  // one a slice or (with `block_size` > 0) one a block. Returns its output.
  Value* dequantized(const Value& real, Tensor integers, const Tensor& scales, int axis,
                     int64_t block_size, Node* before);
  // The same of the transpose of the matrix `real`, whose integers stay as they are: readers of
  // both forms share them. `axis` is one of `real`.
  Value* dequantized_transpose(const Value& real, Tensor integers, const Tensor& scales, int axis,
                               int64_t block_size, Node* before);

  // An initializer beside `real`, named after it: one for all calls with the same bytes.
  Value* constant(const Value& real, const std::string& suffix, Tensor tensor);

  // Erases the initializer `real` where nothing reads it any more.
  void drop_if_unread(Value* real);

 private:
  struct Pair {
    Node* quantize;
    Value* dequantized;
  };
  // Behind `value`; nothing reads the result yet, and QuantizeLinear has no input yet.
  Pair add_pair(const Value& value, QuantParams params, DType dtype);
  Value* quantize_constant(Value* value, QuantParams params, DType dtype);
  Value* constant(Graph& graph, const Value& real, const std::string& suffix, Tensor tensor);

  using Key = std::tuple<const Graph*, DType, Dims, std::string>;
  std::map<Key, Value*> small_;
  std::unordered_map<const Value*, std::vector<Value*>> large_;  // by what they stand for
};

}  // namespace dwindle::passes
