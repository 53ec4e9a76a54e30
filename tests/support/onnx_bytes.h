// Small ONNX messages as bytes. Field numbers are those of onnx.proto; fields are written in their
// order, as protobuf does, so that a faithful round trip gives the same bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/ir/model.h"
#include "tests/support/proto_bytes.h"

namespace dwindle::testing {

constexpr int kFloat = 1, kInt8 = 3, kInt64 = 7, kString = 8, kBool = 9;

// The bytes of numbers as they are in memory.
template <typename T>
std::string raw_bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// TensorProto with raw_data.
ProtoBytes tensor(std::string_view name, int dtype, const std::vector<int64_t>& dims,
                  std::string_view raw_data);
// TensorProto with entries in int32_data (or another field of integers).
ProtoBytes tensor_of_integers(std::string_view name, int dtype, const std::vector<int64_t>& dims,
                              const std::vector<int64_t>& entries, uint32_t field = 5);
// TensorProto with external data. Keys without a value ("") are left out.
ProtoBytes external_tensor(std::string_view name, int dtype, const std::vector<int64_t>& dims,
                           const std::string& location, const std::string& offset = "",
                           const std::string& length = "");

// ValueInfoProto of a tensor; a negative extent is written as it is.
ProtoBytes value_info(std::string_view name, int dtype, const std::vector<int64_t>& dims);

// AttributeProto.
ProtoBytes int_attribute(std::string_view name, int64_t value);
ProtoBytes tensor_attribute(std::string_view name, const ProtoBytes& value);
ProtoBytes graph_attribute(std::string_view name, const ProtoBytes& value);

// NodeProto.
ProtoBytes node(std::string_view op_type, const std::vector<std::string>& inputs,
                const std::vector<std::string>& outputs, std::string_view name = "",
                const std::vector<ProtoBytes>& attributes = {});

struct GraphParts {
  std::vector<ProtoBytes> nodes;
  std::string name = "g";
  std::vector<ProtoBytes> initializers, inputs, outputs, value_infos, sparse_initializers;
};
ProtoBytes graph(const GraphParts& parts);

// ModelProto of IR version 8 that imports ai.onnx 17; `tail` are more fields.
std::string model(const ProtoBytes& graph, std::string_view tail = "");
std::string model(const GraphParts& parts);

// y = Relu(x), both float[2]: the smallest whole model.
GraphParts relu_parts();

Model parse(std::string_view bytes);

}  // namespace dwindle::testing
