// Puts QuantizeLinear / DequantizeLinear pairs into a graph.
#pragma once

#include <map>
#include <string>
#include <tuple>

#include "core/ir/graph.h"
#include "core/quant/params.h"

namespace dwindle::passes {

// Adds the pairs and the initializers that they need to one graph; equal scales and zero points
// become one initializer.
class QdqInserter {
 public:
  explicit QdqInserter(Graph& graph) : graph_(graph) {}

  // Value → QuantizeLinear → DequantizeLinear → all that read the value. A graph output keeps its
  // name. A constant becomes an integer initializer with a DequantizeLinear alone.
  void quantize(Value* value, QuantParams params, DType dtype);

  // DequantizeLinear of an integer initializer, placed before `before`. One scale a slice of `axis`
  // (-1: one scale). Returns its output.
  Value* dequantized(const std::string& name, Tensor integers, const std::vector<float>& scales,
                     int axis, Node* before);

 private:
  Value* scale(const std::string& name, const std::vector<float>& scales, bool vector);
  Value* zero_point(const std::string& name, const std::vector<int32_t>& values, DType dtype,
                    bool vector);
  Value* shared(const std::string& name, Tensor tensor);

  Graph& graph_;
  std::map<std::tuple<DType, Dims, std::string>, Value*> constants_;
};

}  // namespace dwindle::passes
