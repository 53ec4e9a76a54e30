// Writes the nodes that a conversion puts in the place of one node.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/ir/model.h"

namespace dwindle::passes {

// Adds nodes before `node`, and constants to its graph. They are called `<what people call
// node>/<role>`, so that it can be told what became of it.
class NodeWriter {
 public:
  using Attributes = std::vector<std::pair<std::string, Attribute::Value>>;
  // An element of a shape: a number (0 and -1 as Reshape takes them) or a tensor of one integer.
  using Part = std::variant<int64_t, Value*>;
  // One extent of a value: a number where `dim` is known, else what Shape finds.
  struct Axis {
    Value* value = nullptr;
    int64_t axis = 0;
    Dim dim;
  };

  NodeWriter(Model& model, Node& node);

  // Output 0 of a new node.
  Value* add(const std::string& op, const std::string& role, const std::vector<Value*>& inputs) {
    return add(op, role, inputs, {});
  }
  Value* add(const std::string& op, const std::string& role, const std::vector<Value*>& inputs,
             Attributes attributes);
  Value* transpose(const std::string& role, Value* value, std::vector<int64_t> perm);
  Value* reshape(const std::string& role, Value* value, const std::vector<Part>& shape);

  Value* constant(const std::string& role, Tensor tensor);
  Value* number(const std::string& role, float value);               // rank 0
  Value* integer(const std::string& role, int64_t value);            // rank 0
  Value* integers(const std::string& role, std::vector<int64_t> v);  // rank 1

  // A Shape node where it takes one, the same for the same role.
  Part extent(const std::string& role, const Axis& axis);
  Value* vector_of(const std::string& role, const Part& part);  // [1]
  Value* scalar_of(const std::string& role, const Part& part);  // rank 0

  // Makes all that reads output i of the node read `by` instead, which gives it name and type where
  // it was written here.
  void stand_for_output(size_t i, Value* by);

 private:
  std::string name_of(const std::string& role) const { return prefix_ + "/" + role; }

  Model& model_;
  Node& node_;
  std::string prefix_;
  std::vector<const Node*> written_;
  std::map<std::string, Value*> extents_;
};

}  // namespace dwindle::passes
