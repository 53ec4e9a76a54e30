// Attribute: a named constant of a node, of one of ONNX's attribute types.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/ir/tensor.h"

namespace dwindle {

class Graph;

// An attribute that Dwindle only carries: a sparse tensor or a type, as ONNX encodes it.
struct OpaqueAttribute {
  std::string encoded;  // the whole AttributeProto
};

struct Attribute {
  using Variant =
      std::variant<std::monostate, float, int64_t, std::string, Tensor, std::unique_ptr<Graph>,
                   std::vector<float>, std::vector<int64_t>, std::vector<std::string>,
                   std::vector<Tensor>, std::vector<std::unique_ptr<Graph>>, OpaqueAttribute>;
  // What moves and destroys so many alternatives is compiled once, not wherever a node is made.
  struct Value : Variant {
    using Variant::Variant;
    Value() = default;
    Value(Value&& other) noexcept;
    Value& operator=(Value&& other) noexcept;
    ~Value();
  };

  std::string name;
  Value value;            // monostate where `reference` is set
  std::string reference;  // inside a function: the function's attribute that this one takes
  int32_t type = 0;       // AttributeProto.AttributeType of a reference
  std::string extra;      // what else the file says of it (doc string), encoded
};

}  // namespace dwindle
