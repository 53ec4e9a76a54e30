// Runs one node in FloatExecutor.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/ir/model.h"
#include "core/runtime/float_executor.h"

namespace dwindle::testing {

inline Tensor floats(const Dims& shape, const std::vector<float>& values) {
  return Tensor::of<float>(shape, values);
}

// A node to run: an omitted input is an undefined tensor.
struct OpCase {
  std::string type;
  std::vector<Tensor> inputs;
  std::vector<std::pair<std::string, int64_t>> ints = {};
  std::vector<std::pair<std::string, float>> floats = {};
  std::vector<std::pair<std::string, std::string>> strings = {};
  std::vector<std::pair<std::string, std::vector<int64_t>>> int_lists = {};
  int opset = 21;
  size_t num_outputs = 1;
  bool constants = false;  // inputs are initializers rather than fed
};

// A model of that one node whose inputs i0, i1, … have the dtypes and shapes of the tensors.
Model op_model(const OpCase& op);

// Its outputs, after shape inference has been checked against them: what is inferred of dtype and
// shape must be so (GoogleTest failure otherwise).
std::vector<Tensor> run_op(const OpCase& op);

// The one output of an op.
inline Tensor run_op1(const OpCase& op) { return run_op(op).at(0); }

}  // namespace dwindle::testing
