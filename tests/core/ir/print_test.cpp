#include "core/ir/print.h"

#include <gtest/gtest.h>

#include "tests/support/onnx_bytes.h"

namespace dwindle {
namespace {

using namespace testing;

TEST(Print, AModelIsItsLines) {
  GraphParts branch;
  branch.name = "branch";
  branch.nodes = {node("Neg", {"x"}, {"n"})};
  branch.outputs = {value_info("n", kFloat, {2})};
  GraphParts parts = relu_parts();
  parts.initializers = {tensor("w", kFloat, {2}, raw_bytes<float>({0.1f, -2})),
                        tensor("long", kInt8, {9}, "123456789"),
                        tensor("odd name", kBool, {}, "\x01")};
  parts.nodes = {
      node("If", {"odd name"}, {"t"}, "if", {graph_attribute("then_branch", graph(branch))}),
      node("Fused", {"t", "", "w"}, {"", "y"}, "a \"b\"",
           {int_attribute("k", 3),
            tensor_attribute("v", tensor("", kInt64, {1}, raw_bytes<int64_t>({5})))})
          .bytes(7, "com.example")};
  EXPECT_EQ(to_text(parse(model(parts))), R"(model ir_version=8 opsets=[ai.onnx:17]
graph "g" (%x: float32[2]) {
  %w = float32[2] [0.1, -2]
  %long = int8[9]
  %"odd name" = bool[] [1]
  %t = If(%"odd name") {then_branch=graph} "if"
    then_branch = graph "branch" () {
      %n: float32[2] = Neg(%x)
      return %n
    }
  _, %y: float32[2] = com.example.Fused(%t, _, %w) {k=3, v=int64[1] [5]} "a \"b\""
  return %y
}
)");
}

TEST(Print, ANodeIsOneLine) {
  const Model parsed = parse(model(relu_parts()));
  EXPECT_EQ(to_text(**parsed.graph->nodes().begin()), "%y: float32[2] = Relu(%x) \"relu\"");
}

TEST(Print, SpecialElements) {
  GraphParts parts = relu_parts();
  parts.initializers = {
      tensor("halves", 10, {2}, raw_bytes<uint16_t>({0x3c00, 0x7c00})),
      tensor("nibbles", 22, {3}, std::string("\xf1\x08", 2)),
      tensor("unsigned", 13, {1}, raw_bytes<uint64_t>({UINT64_MAX})),
      tensor("complex", 14, {1}, raw_bytes<float>({1, 2})),
      ProtoBytes().integer(1, 1).integer(2, kString).bytes(6, "a\n\"").bytes(8, "strings")};
  const std::string text = to_text(*parse(model(parts)).graph);
  for (const char* line :
       {"%halves = float16[2] [1, inf]\n", "%nibbles = int4[3] [1, -1, -8]\n",
        "%unsigned = uint64[1] [18446744073709551615]\n", "%complex = complex64[1] [...]\n",
        "%strings = string[1] [\"a\\x0a\\\"\"]\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "in\n" << text;
  }
}

}  // namespace
}  // namespace dwindle
