#include "tests/support/onnx_bytes.h"

#include <span>

#include "core/onnx/onnx.h"

namespace dwindle::testing {
namespace {

ProtoBytes tensor_head(int dtype, const std::vector<int64_t>& dims) {
  ProtoBytes message;
  for (int64_t extent : dims) message.integer(1, extent);
  return message.integer(2, dtype);
}

ProtoBytes entry(std::string_view key, std::string_view value) {
  return ProtoBytes().bytes(1, key).bytes(2, value);
}

}  // namespace

ProtoBytes tensor(std::string_view name, int dtype, const std::vector<int64_t>& dims,
                  std::string_view raw_data) {
  return tensor_head(dtype, dims).bytes(8, name).bytes(9, raw_data);
}

ProtoBytes tensor_of_integers(std::string_view name, int dtype, const std::vector<int64_t>& dims,
                              const std::vector<int64_t>& entries, uint32_t field) {
  ProtoBytes message = tensor_head(dtype, dims);
  for (int64_t value : entries) message.integer(field, value);
  return message.bytes(8, name);
}

ProtoBytes external_tensor(std::string_view name, int dtype, const std::vector<int64_t>& dims,
                           const std::string& location, const std::string& offset,
                           const std::string& length) {
  ProtoBytes message = tensor_head(dtype, dims).bytes(8, name);
  if (!location.empty()) message.message(13, entry("location", location));
  if (!offset.empty()) message.message(13, entry("offset", offset));
  if (!length.empty()) message.message(13, entry("length", length));
  return message.integer(14, 1);
}

ProtoBytes value_info(std::string_view name, int dtype, const std::vector<int64_t>& dims) {
  ProtoBytes shape;
  for (int64_t extent : dims) shape.message(1, ProtoBytes().integer(1, extent));
  const ProtoBytes type = ProtoBytes().message(1, ProtoBytes().integer(1, dtype).message(2, shape));
  return ProtoBytes().bytes(1, name).message(2, type);
}

ProtoBytes int_attribute(std::string_view name, int64_t value) {
  return ProtoBytes().bytes(1, name).integer(3, value).integer(20, 2);
}

ProtoBytes tensor_attribute(std::string_view name, const ProtoBytes& value) {
  return ProtoBytes().bytes(1, name).message(5, value).integer(20, 4);
}

ProtoBytes graph_attribute(std::string_view name, const ProtoBytes& value) {
  return ProtoBytes().bytes(1, name).message(6, value).integer(20, 5);
}

ProtoBytes node(std::string_view op_type, const std::vector<std::string>& inputs,
                const std::vector<std::string>& outputs, std::string_view name,
                const std::vector<ProtoBytes>& attributes) {
  ProtoBytes message;
  for (const std::string& input : inputs) message.bytes(1, input);
  for (const std::string& output : outputs) message.bytes(2, output);
  if (!name.empty()) message.bytes(3, name);
  message.bytes(4, op_type);
  for (const ProtoBytes& attribute : attributes) message.message(5, attribute);
  return message;
}

ProtoBytes graph(const GraphParts& parts) {
  ProtoBytes message;
  for (const ProtoBytes& item : parts.nodes) message.message(1, item);
  if (!parts.name.empty()) message.bytes(2, parts.name);
  for (const ProtoBytes& item : parts.initializers) message.message(5, item);
  for (const ProtoBytes& item : parts.inputs) message.message(11, item);
  for (const ProtoBytes& item : parts.outputs) message.message(12, item);
  for (const ProtoBytes& item : parts.value_infos) message.message(13, item);
  for (const ProtoBytes& item : parts.sparse_initializers) message.message(15, item);
  return message;
}

std::string model(const ProtoBytes& graph, std::string_view tail) {
  return ProtoBytes()
      .integer(1, 8)
      .message(7, graph)
      .message(8, ProtoBytes().bytes(1, "").integer(2, 17))
      .raw(tail)
      .str();
}

std::string model(const GraphParts& parts) { return model(graph(parts)); }

GraphParts relu_parts() {
  GraphParts parts;
  parts.nodes = {node("Relu", {"x"}, {"y"}, "relu")};
  parts.inputs = {value_info("x", kFloat, {2})};
  parts.outputs = {value_info("y", kFloat, {2})};
  return parts;
}

Model parse(std::string_view bytes) {
  return parse_model(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

}  // namespace dwindle::testing
