// Bad files raise a clear error, never crash, and leave no half-made output.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <random>

#include "core/ir/print.h"
#include "core/ir/verify.h"
#include "core/onnx/onnx.h"
#include "core/support/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/onnx_bytes.h"
#include "tests/support/temp_folder.h"

namespace dwindle {
namespace {

using namespace testing;
namespace fs = std::filesystem;

// `text` is what the message must say.
void expect_bad(const GraphParts& parts, std::string_view text) {
  expect_error<BadModel>(text, [&] { parse(model(parts)); });
}

TEST(BadFile, MissingEmptyOrFolder) {
  const TempFolder folder;
  expect_error<IoError>("none.onnx", [&] { load_model(folder / "none.onnx"); });
  expect_error<IoError>("directory", [&] { load_model(folder.path()); });
  expect_error<BadModel>("empty.onnx: the model is empty",
                         [&] { load_model(folder.write("empty.onnx", "")); });
}

TEST(BadFile, Truncated) {
  const std::string file = model(relu_parts());
  expect_error<BadModel>("truncated", [&] { parse(file.substr(0, file.size() / 2)); });
}

TEST(BadFile, ProtobufThatIsNoModel) {
  expect_error<BadModel>("no ONNX model", [] { parse(ProtoBytes().bytes(1, "hello").str()); });
  expect_error<BadModel>("no ONNX model", [] { parse(graph(relu_parts()).str()); });
  expect_error<BadModel>("no ONNX model",
                         [] { parse(tensor("w", kFloat, {1}, raw_bytes<float>({1})).str()); });
  expect_error<BadModel>("no ir_version",
                         [] { parse(ProtoBytes().message(7, graph(relu_parts())).str()); });
  expect_error<BadModel>("no ONNX model", [] { parse("plain text, not a model at all"); });
}

// `inner`, wrapped `depth` times as content of the last field of `levels`, the innermost level
// first. Only what comes before the content is kept for each level, so that the cost is linear.
struct Level {
  ProtoBytes before;
  uint32_t field;
};
std::string wrapped(const std::string& inner, const std::vector<Level>& levels, int depth) {
  std::vector<std::string> prefixes;
  size_t size = inner.size();
  for (int i = 0; i < depth; ++i) {
    for (const Level& level : levels) {
      prefixes.push_back(ProtoBytes(level.before).header(level.field, size).str());
      size += prefixes.back().size();
    }
  }
  std::string bytes;
  for (auto it = prefixes.rbegin(); it != prefixes.rend(); ++it) bytes += *it;
  return bytes + inner;
}

TEST(BadFile, NestedTenThousandDeep) {
  const Level attribute = {ProtoBytes().bytes(1, "body").integer(20, 5), 6};
  const std::vector<Level> levels = {attribute, {ProtoBytes().bytes(4, "Loop"), 5}, {{}, 1}};
  const std::string inner = graph(relu_parts()).str();
  const auto file = [&](int depth) {
    return model(ProtoBytes().raw(wrapped(inner, levels, depth)));
  };
  EXPECT_NO_THROW(parse(file(25)));
  expect_error<BadModel>("nested too deep", [&] { parse(file(10000)); });
}

TEST(BadFile, TypesNestedTenThousandDeep) {
  const std::vector<Level> levels = {{{}, 1}, {{}, 4}};
  const std::string inner = ProtoBytes().message(1, ProtoBytes().integer(1, 1)).str();
  const auto file = [&](int depth) {
    GraphParts parts = relu_parts();
    parts.inputs.push_back(ProtoBytes().bytes(1, "s").bytes(2, wrapped(inner, levels, depth)));
    return model(parts);
  };
  EXPECT_NO_THROW(parse(file(30)));
  expect_error<BadModel>("corrupt", [&] { parse(file(10000)); });
}

TEST(BadModelGraph, Cycle) {
  GraphParts parts = relu_parts();
  parts.nodes = {node("Add", {"x", "b"}, {"a"}, "first"), node("Abs", {"a"}, {"b"}, "second"),
                 node("Neg", {"b"}, {"y"}, "third")};
  expect_bad(parts, "cycle");
  expect_bad(parts, "'first'");
  parts.nodes = {node("Add", {"x", "y"}, {"y"}, "self")};
  expect_bad(parts, "cycle");
}

TEST(BadModelGraph, CycleThroughANestedGraph) {
  GraphParts branch;
  branch.nodes = {node("Neg", {"y"}, {"n"})};
  branch.outputs = {value_info("n", kFloat, {2})};
  GraphParts parts = relu_parts();
  parts.nodes = {node("If", {"x"}, {"y"}, "if", {graph_attribute("then_branch", graph(branch))})};
  expect_bad(parts, "cycle");
}

TEST(BadModelGraph, UndefinedNames) {
  GraphParts parts = relu_parts();
  parts.initializers = {tensor("weight", kFloat, {1}, raw_bytes<float>({1}))};
  parts.nodes = {node("Add", {"x", "wieght"}, {"y"}, "add")};
  expect_bad(parts, "node 'add' (Add): reads 'wieght', which nothing defines; is 'weight' meant?");
  parts = relu_parts();
  parts.outputs = {value_info("nowhere", kFloat, {2})};
  expect_bad(parts, "output 'nowhere' of the graph is defined nowhere");
}

TEST(BadModelGraph, InnerValuesAreNotSeenOutside) {
  GraphParts branch;
  branch.nodes = {node("Neg", {"x"}, {"inner"})};
  branch.outputs = {value_info("inner", kFloat, {2})};
  GraphParts parts = relu_parts();
  parts.nodes = {node("If", {"x"}, {"t"}, "", {graph_attribute("then_branch", graph(branch))}),
                 node("Abs", {"inner"}, {"y"}, "abs")};
  expect_bad(parts, "reads 'inner'");
}

TEST(BadModelGraph, DuplicateNames) {
  GraphParts parts = relu_parts();
  parts.nodes.push_back(node("Abs", {"x"}, {"y"}, "again"));
  expect_bad(parts, "value 'y' is defined twice, once by node 'again'");
  parts = relu_parts();
  parts.nodes = {node("Split", {"x"}, {"y", "y"})};
  expect_bad(parts, "value 'y' is defined twice");
  parts = relu_parts();
  parts.nodes = {node("Abs", {"y"}, {"x"})};
  expect_bad(parts, "value 'x' is defined twice");
  parts = relu_parts();
  parts.inputs.push_back(parts.inputs[0]);
  expect_bad(parts, "value 'x' is defined twice, once as input");
  parts = relu_parts();
  parts.outputs.push_back(parts.outputs[0]);
  expect_bad(parts, "output 'y' of the graph is listed twice");
  parts = relu_parts();
  const ProtoBytes w = tensor("w", kFloat, {1}, raw_bytes<float>({1}));
  parts.initializers = {w, w};
  expect_bad(parts, "value 'w' is defined twice, once as initializer");
  parts.initializers = {tensor("y", kFloat, {1}, raw_bytes<float>({1}))};
  expect_bad(parts, "value 'y' is defined twice");
  parts = relu_parts();
  parts.nodes = {node("Relu", {"x"}, {"y"}, "", {int_attribute("k", 1), int_attribute("k", 2)})};
  expect_bad(parts, "two attributes 'k'");
}

TEST(BadModelGraph, NamesThatAreMissing) {
  GraphParts parts = relu_parts();
  parts.initializers = {tensor("", kFloat, {1}, raw_bytes<float>({1}))};
  expect_bad(parts, "has no name");
  parts = relu_parts();
  parts.nodes = {node("", {"x"}, {"y"}, "n")};
  expect_bad(parts, "node 'n' (): has no op_type");
}

TEST(BadModelGraph, Shapes) {
  GraphParts parts = relu_parts();
  parts.inputs = {value_info("x", kFloat, {-2})};
  expect_bad(parts, "value 'x' has the negative extent -2");
  parts.inputs = {value_info("x", kFloat, {-1})};  // what some exporters write for an unknown one
  EXPECT_FALSE(parse(model(parts)).graph->inputs().front()->type.shape->front().known());
  parts.inputs = {value_info("x", kFloat, {1LL << 40, 1LL << 40})};
  expect_bad(parts, "value 'x'");
  parts.inputs = {value_info("x", 77, {1})};
  expect_bad(parts, "value 'x' has the unknown element type 77");
}

TEST(BadModelGraph, ContradictingDeclarations) {
  GraphParts parts = relu_parts();
  parts.initializers = {tensor("x", kFloat, {3}, raw_bytes<float>({1, 2, 3}))};
  expect_bad(parts, "value 'x' is declared as float32[2] but is float32[3]");
  parts = relu_parts();
  parts.initializers = {tensor("w", kFloat, {1}, raw_bytes<float>({1}))};
  parts.value_infos = {value_info("w", kInt64, {1})};
  expect_bad(parts, "value 'w' is declared as int64[1] but is float32[1]");
  parts.value_infos = {value_info("y", kFloat, {2, 2})};
  expect_bad(parts, "value 'y'");
}

TEST(BadModelGraph, OperatorSets) {
  expect_error<BadModel>("opset_import", [] {
    parse(ProtoBytes().integer(1, 8).message(7, graph(relu_parts())).str());
  });
  const auto with = [](int64_t version) {
    return ProtoBytes().message(8, ProtoBytes().bytes(1, "").integer(2, version)).str();
  };
  expect_error<BadModel>("two versions", [&] { parse(model(graph(relu_parts()), with(16))); });
  expect_error<BadModel>("version -1", [&] {
    parse(ProtoBytes().integer(1, 8).message(7, graph(relu_parts())).raw(with(-1)).str());
  });
}

TEST(BadModelGraph, ErrorsSayWhereInNestedGraphs) {
  GraphParts branch;
  branch.nodes = {node("Neg", {"missing"}, {"n"}, "neg")};
  GraphParts parts = relu_parts();
  parts.nodes = {node("If", {"x"}, {"y"}, "if", {graph_attribute("then_branch", graph(branch))})};
  expect_bad(parts, "node 'if' (If): attribute 'then_branch': node 'neg' (Neg): reads 'missing'");
}

// Whatever the bytes, there is a model or an Error; sanitizers see to the rest.
void survive(const std::string& bytes) {
  try {
    const Model loaded = parse(bytes);
    find_faults(loaded);
    to_text(loaded);
    parse(serialize_model(loaded));
  } catch (const Error&) {
  }
}

std::vector<std::string> sample_files() {
  GraphParts branch;
  branch.nodes = {node("Neg", {"x"}, {"n"})};
  branch.outputs = {value_info("n", kFloat, {2})};
  GraphParts parts = relu_parts();
  parts.initializers = {tensor("w", kFloat, {2}, raw_bytes<float>({1, 2})),
                        tensor_of_integers("b", kInt8, {3}, {1, 2, 3}),
                        tensor("t", kBool, {1}, "\x01")};
  parts.sparse_initializers = {ProtoBytes()
                                   .message(1, tensor("s", kFloat, {1}, raw_bytes<float>({3})))
                                   .message(2, tensor("", kInt64, {1}, raw_bytes<int64_t>({1})))
                                   .integer(3, 6)};
  parts.nodes = {node("If", {"t"}, {"z"}, "if", {graph_attribute("then_branch", graph(branch))}),
                 node("Add", {"z", "w"}, {"y"}, "add", {int_attribute("k", 3)})};
  parts.value_infos = {value_info("z", kFloat, {2})};
  const ProtoBytes function = ProtoBytes()
                                  .bytes(1, "F")
                                  .bytes(4, "in")
                                  .bytes(5, "out")
                                  .message(7, node("Abs", {"in"}, {"out"}))
                                  .message(9, ProtoBytes().bytes(1, "").integer(2, 17))
                                  .bytes(10, "local");
  const ProtoBytes sequence = ProtoBytes().message(4, ProtoBytes().message(1, ProtoBytes()));
  parts.inputs.push_back(ProtoBytes().bytes(1, "q").message(2, sequence));
  std::vector<std::string> files = {
      model(graph(parts), ProtoBytes().message(25, function).bytes(2, "producer").str())};
  const fs::path models = fs::path(DWINDLE_SHARED) / "models";
  for (const char* name : {"kws_dscnn.onnx", "ic_resnet8.onnx"}) {
    if (fs::exists(models / name)) files.push_back(read_file(models / name));
  }
  if (files.size() == 1) std::cout << "no " << models << ": only a made-up model is tested\n";
  return files;
}

TEST(Fuzz, RandomBytes) {
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes(random() % 200, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    survive(bytes);
  }
}

TEST(Fuzz, FlippedBytes) {
  std::mt19937 random(2);
  for (const std::string& file : sample_files()) {
    // In a large file almost all bytes are weights: the rest is near the start of tensors and at
    // the end, so flips are spread and many.
    const int rounds = file.size() < 10000 ? 4000 : 60;
    for (int i = 0; i < rounds; ++i) {
      std::string bytes = file;
      const size_t flips = file.size() < 10000 ? 1 + random() % 4 : 200;
      for (size_t k = 0; k < flips; ++k) {
        bytes[random() % bytes.size()] = static_cast<char>(random());
      }
      survive(bytes);
    }
  }
}

TEST(Fuzz, TruncatedAnywhere) {
  for (const std::string& file : sample_files()) {
    const size_t step = std::max<size_t>(1, file.size() / 300);
    for (size_t size = 0; size < file.size(); size += step) survive(file.substr(0, size));
  }
}

}  // namespace
}  // namespace dwindle
