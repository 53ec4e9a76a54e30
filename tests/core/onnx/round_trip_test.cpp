// Whatever Dwindle does not understand comes out as it went in. The files here are encoded as
// protobuf encodes them, so that "unchanged" can mean the same bytes.
#include <gtest/gtest.h>

#include "core/ir/print.h"
#include "core/onnx/onnx.h"
#include "tests/support/onnx_bytes.h"

namespace dwindle {
namespace {

using namespace testing;

void expect_unchanged(const std::string& file) {
  const Model loaded = parse(file);
  EXPECT_EQ(serialize_model(loaded), file);
  EXPECT_EQ(serialize_model(loaded.clone()), file) << "after clone";
  EXPECT_EQ(serialized_size(loaded), file.size());
}

ProtoBytes entry(std::string_view key, std::string_view value) {
  return ProtoBytes().bytes(1, key).bytes(2, value);
}

TEST(RoundTrip, ModelFields) {
  const std::string file =
      ProtoBytes()
          .integer(1, 9)
          .bytes(2, "producer")
          .bytes(3, "1.0")
          .bytes(4, "model.domain")
          .integer(5, -3)
          .bytes(6, "what it is for")
          .message(7, graph(relu_parts()))
          .message(8, ProtoBytes().bytes(1, "com.example").integer(2, 4))
          .message(8, ProtoBytes().bytes(1, "").integer(2, 17))
          .message(14, entry("author", "someone"))
          .message(14, entry("author", "twice"))
          .message(20, ProtoBytes().message(1, graph(relu_parts())).message(3, entry("a", "b")))
          .message(26, ProtoBytes().bytes(1, "devices").integer(2, 2))
          .bytes(999, "a field of a later version")
          .str();
  expect_unchanged(file);
  EXPECT_EQ(parse(file).metadata.size(), 2u);
}

TEST(RoundTrip, OpsetVersionIsUpdatedInPlace) {
  Model loaded =
      parse(model(graph(relu_parts()),
                  ProtoBytes().message(8, ProtoBytes().bytes(1, "b").integer(2, 1)).str()));
  loaded.opsets[""] = 21;
  loaded.opsets.erase("b");
  loaded.opsets["c"] = 2;
  const Model again = parse(serialize_model(loaded));
  EXPECT_EQ(again.opsets, loaded.opsets);
}

TEST(RoundTrip, GraphFields) {
  GraphParts parts = relu_parts();
  ProtoBytes message;
  message.message(1, ProtoBytes(node("Relu", {"x"}, {"t"}, "r"))
                         .bytes(6, "doc of the node")
                         .message(9, entry("k", "v"))
                         .message(10, ProtoBytes().bytes(1, "device").integer(3, 1))
                         .integer(777, 5));
  message.message(1, ProtoBytes()
                         .bytes(1, "t")
                         .bytes(2, "y")
                         .bytes(4, "Odd")
                         .bytes(7, "com.example")
                         .bytes(8, "overload"));
  message.bytes(2, "g").bytes(10, "doc of the graph");
  message.message(11, ProtoBytes(parts.inputs[0]).bytes(3, "doc of x").message(4, entry("a", "b")));
  message.message(12, parts.outputs[0]);
  message.message(13, value_info("t", kFloat, {2}));
  message.message(13, value_info("gone", kFloat, {7}));  // of a value that no longer exists
  message.message(14, ProtoBytes().bytes(1, "x").message(2, entry("SCALE_TENSOR", "s")));
  message.message(16, entry("graph", "metadata"));
  expect_unchanged(model(message));
}

TEST(RoundTrip, TypesThatAreNoPlainTensors) {
  const auto tensor_type = [](int dtype) {
    return ProtoBytes().message(1, ProtoBytes().integer(1, dtype));
  };
  const ProtoBytes sequence = ProtoBytes().message(4, ProtoBytes().message(1, tensor_type(1)));
  const ProtoBytes map =
      ProtoBytes().message(5, ProtoBytes().integer(1, kString).message(2, tensor_type(7)));
  const ProtoBytes optional = ProtoBytes().message(9, ProtoBytes().message(1, sequence));
  const ProtoBytes denoted = ProtoBytes(tensor_type(1)).bytes(6, "IMAGE");
  const ProtoBytes dim = ProtoBytes().integer(1, 3).bytes(3, "CHANNEL");
  const ProtoBytes with_dim =
      ProtoBytes().message(1, ProtoBytes().integer(1, 1).message(2, ProtoBytes().message(1, dim)));
  GraphParts parts = relu_parts();
  int count = 0;
  for (const ProtoBytes& type : {sequence, map, optional, denoted, with_dim, ProtoBytes()}) {
    parts.inputs.push_back(ProtoBytes().bytes(1, "i" + std::to_string(count++)).message(2, type));
  }
  parts.inputs.push_back(ProtoBytes().bytes(1, "untyped"));
  expect_unchanged(model(parts));
  const Model loaded = parse(model(parts));
  EXPECT_FALSE(loaded.graph->find("i0")->type.is_tensor());
  EXPECT_EQ(loaded.graph->find("i4")->type.shape, Shape{3});
}

TEST(RoundTrip, SymbolicAndUnknownExtents) {
  const ProtoBytes shape = ProtoBytes()
                               .message(1, ProtoBytes().bytes(2, "batch"))
                               .message(1, ProtoBytes())
                               .message(1, ProtoBytes().integer(1, 0));
  GraphParts parts = relu_parts();
  parts.inputs[0] = ProtoBytes().bytes(1, "x").message(
      2, ProtoBytes().message(1, ProtoBytes().integer(1, 1).message(2, shape)));
  expect_unchanged(model(parts));
  EXPECT_EQ(to_string(*parse(model(parts)).graph->inputs()[0]->type.shape), "[batch,?,0]");
}

TEST(RoundTrip, AttributesOfAllTypes) {
  const ProtoBytes value =
      tensor("named", kFloat, {1}, raw_bytes<float>({1})).bytes(12, "doc of the tensor");
  const ProtoBytes type = ProtoBytes().message(1, ProtoBytes().integer(1, 1));
  const ProtoBytes sparse = ProtoBytes()
                                .message(1, tensor("v", kFloat, {1}, raw_bytes<float>({1})))
                                .message(2, tensor("", kInt64, {1}, raw_bytes<int64_t>({0})))
                                .integer(3, 4);
  GraphParts inner;
  inner.nodes = {node("Neg", {"x"}, {"n"})};
  inner.outputs = {value_info("n", kFloat, {2})};
  GraphParts parts = relu_parts();
  parts.nodes = {node(
      "Custom", {"x"}, {"y"}, "",
      {ProtoBytes().bytes(1, "float").real(2, 0.5f).bytes(13, "doc").integer(20, 1),
       int_attribute("int", -1), ProtoBytes().bytes(1, "string").bytes(4, "\xff").integer(20, 3),
       tensor_attribute("tensor", value), graph_attribute("graph", graph(inner)),
       ProtoBytes().bytes(1, "floats").real(7, 1).real(7, 2).integer(20, 6),
       ProtoBytes().bytes(1, "ints").integer(8, 1).integer(8, -2).integer(20, 7),
       ProtoBytes().bytes(1, "strings").bytes(9, "a").bytes(9, "").integer(20, 8),
       ProtoBytes().bytes(1, "tensors").message(10, value).message(10, value).integer(20, 9),
       ProtoBytes().bytes(1, "graphs").message(11, graph(inner)).integer(20, 10),
       ProtoBytes().bytes(1, "empty").integer(20, 7),
       ProtoBytes().bytes(1, "type").message(14, type).integer(20, 13),
       ProtoBytes().bytes(1, "types").message(15, type).message(15, type).integer(20, 14),
       ProtoBytes().bytes(1, "sparse").integer(20, 11).message(22, sparse),
       ProtoBytes().bytes(1, "later").integer(20, 99).bytes(500, "of a later version")})};
  expect_unchanged(model(parts));
}

TEST(RoundTrip, LocalFunctions) {
  const ProtoBytes reference = ProtoBytes().bytes(1, "alpha").integer(20, 1).bytes(21, "slope");
  const ProtoBytes function = ProtoBytes()
                                  .bytes(1, "Leaky")
                                  .bytes(4, "in")
                                  .bytes(5, "out")
                                  .bytes(6, "slope")
                                  .message(7, node("LeakyRelu", {"in"}, {"t"}, "", {reference}))
                                  .message(7, node("Abs", {"t"}, {"out"}))
                                  .bytes(8, "doc of the function")
                                  .message(9, ProtoBytes().bytes(1, "").integer(2, 16))
                                  .bytes(10, "local")
                                  .message(11, int_attribute("unused", 3))
                                  .message(12, value_info("t", kFloat, {2}))
                                  .bytes(13, "v2")
                                  .message(14, entry("k", "v"));
  GraphParts parts = relu_parts();
  parts.nodes = {node("Leaky", {"x"}, {"y"}).bytes(7, "local").bytes(8, "v2")};
  const std::string file =
      model(graph(parts), ProtoBytes()
                              .message(8, ProtoBytes().bytes(1, "local").integer(2, 1))
                              .message(25, function)
                              .str());
  expect_unchanged(file);
  const Model loaded = parse(file);
  const Function* found = loaded.function_of(**loaded.graph->nodes().begin());
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->opsets.at(""), 16);
  EXPECT_EQ((*found->graph->nodes().begin())->attribute("alpha")->reference, "slope");
}

TEST(RoundTrip, TensorNotes) {
  GraphParts parts = relu_parts();
  parts.initializers = {tensor("w", kFloat, {1}, raw_bytes<float>({1}))
                            .bytes(12, "doc")
                            .message(16, entry("k", "v"))
                            .integer(900, 1)};
  expect_unchanged(model(parts));
}

TEST(RoundTrip, ASecondOpinionOnAnOutputStays) {
  GraphParts parts = relu_parts();
  parts.outputs = {ProtoBytes().bytes(1, "y").message(
      2, ProtoBytes().message(1, ProtoBytes().integer(1, kFloat)))};
  parts.value_infos = {value_info("y", kFloat, {2})};
  expect_unchanged(model(parts));
}

}  // namespace
}  // namespace dwindle
