// Rows of the table by which raise-opset brings a node from one version of its op to the next.
//
// An op has a row for each version of ai.onnx, from 8 on, in which the form that held before became
// invalid or took another meaning. Where a version only widened an op (more dtypes, an optional
// input, an attribute whose default is what was so before) it has none: the node holds as it is.
//
// Source: the schemas of the onnx package, every version step of every op; python/tests/
// test_raise_opset.py goes through them and fails where a step has neither a row nor a reason.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/ir/graph.h"

namespace dwindle::passes {

// One node on its way to a newer version, and what a conversion may add around it. New nodes are
// given in the form of the version to be reached.
struct NodeRaise {
  Node& node;
  int64_t target;    // version that the whole graph is brought to
  bool in_function;  // the root graph is the body of a function, which holds no initializers

  // A constant in the node's graph: an initializer or, in the body of a function, a Constant.
  Value* constant(const std::string& name, Tensor tensor) const;
  Value* ints(const std::string& name, std::vector<int64_t> values) const;  // rank 1
  // A scalar of the dtype of `like`, which must be that of output 0 too. Raises Unsupported where
  // that is not known and `target` has no CastLike.
  Value* scalar_like(const std::string& name, float value, Value* like) const;

  // A node before this one, with one output.
  Node* before(const std::string& op, const std::vector<Value*>& inputs) const;
  // A node behind this one that takes its output 0 as first input, `rest` as the others, and
  // stands for it from now on.
  Node* behind(const std::string& op, const std::vector<Value*>& rest) const;

  // Integers in attribute `name` become input `index`; nothing where there is no such attribute.
  void ints_to_input(const char* name, size_t index) const;
};

// Raises Unsupported; the pass puts op, node and versions before it.
[[noreturn]] void refuse(const std::string& why);

struct Conversion {
  const char* op;
  int64_t version;  // the first in which the new form holds
  void (*convert)(const NodeRaise&);
};

std::span<const Conversion> input_conversions();      // attributes that became inputs
std::span<const Conversion> reduction_conversions();  // Reduce*
std::span<const Conversion> norm_conversions();       // normalizations, softmax, Dropout
std::span<const Conversion> image_conversions();      // Resize, GridSample, RoiAlign
std::span<const Conversion> scan_conversions();       // Scan, Scatter

// The first row of `op` with a version in (from, target], or null.
const Conversion* next_conversion(const std::string& op, int64_t from, int64_t target);

}  // namespace dwindle::passes
