// Graphs of 20,000 nodes: what takes a step for every pair of nodes shows as a test that hangs.
#include <gtest/gtest.h>

#include "core/ir/verify.h"
#include "core/onnx/onnx.h"
#include "core/runtime/same_outputs.h"
#include "passes/pipeline.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

constexpr int kNodes = 20000;

std::string name(const char* stem, int i) { return stem + std::to_string(i); }

Value* constant(GraphBuilder& b, int i, float value) {
  const Tensor tensor = Tensor::of<float>({1}, {value});
  return b.node(name("c", i), "Constant", {}, {{"value", tensor}});
}

// Loads, verifies, simplifies, proves and saves it. Returns how many nodes are left.
size_t simplified_nodes(const Model& built) {
  const std::string bytes = serialize_model(built);
  const Model before = parse_model(std::as_bytes(std::span(bytes)), {});
  verify(before);
  Model after = before.clone();
  passes::PassContext context;
  passes::run_recipe(after, passes::simplify_recipe(), context);
  const SameOutputs same = same_outputs(before, after, {.runs = 1});
  EXPECT_TRUE(same.same) << same.summary();
  EXPECT_FALSE(serialize_model(after).empty());
  return after.graph->num_nodes();
}

template <typename Step>
Model chain(Step&& step) {
  return make_model([&](GraphBuilder& b) {
    Value* x = b.input("x", {1});
    for (int i = 0; i < kNodes; ++i) x = step(b, x, i);
    b.output(b.node("y", "Relu", {x}));
  });
}

TEST(LongGraphs, ChainOfArithmetic) {
  const auto step = [](GraphBuilder& b, Value* x, int i) {
    if (i % 3 == 1) return b.node(name("v", i), "Relu", {x});
    Value* c = constant(b, i, 1 + 1e-6f * static_cast<float>(i));
    return b.node(name("v", i), i % 3 == 0 ? "Add" : "Mul", {x, c});
  };
  EXPECT_GT(simplified_nodes(chain(step)), static_cast<size_t>(kNodes) / 2);
}

TEST(LongGraphs, ChainOfIdentities) {
  EXPECT_EQ(simplified_nodes(chain([](GraphBuilder& b, Value* x, int i) {
              return b.node(name("v", i), "Identity", {x});
            })),
            1u);
}

TEST(LongGraphs, EqualConstantsInBranches) {
  const Model model = make_model([](GraphBuilder& b) {
    Value* condition = b.input("condition", {}, DType::kBool);
    Value* x = b.input("x", {1});
    for (int i = 0; i < kNodes / 4; ++i) {
      Value* y = b.node(name("v", i), "If", {condition});
      for (const char* branch : {"then_branch", "else_branch"}) {
        GraphBuilder inner = b.nested(branch);
        const int id = 2 * i + (branch[0] == 't');
        inner.output(inner.node(name("s", id), "Sub", {x, constant(inner, id, 2)}));
      }
      x = y;
    }
    b.output(x);
  });
  EXPECT_EQ(simplified_nodes(model), static_cast<size_t>(kNodes) / 4);
}

TEST(LongGraphs, OneValueWithManyReaders) {
  const Model model = make_model([](GraphBuilder& b) {
    Value* x = b.node("r", "Relu", {b.input("x", {1})});
    std::vector<Value*> all;
    for (int i = 0; i < kNodes; ++i) {
      all.push_back(b.node(name("v", i), i % 2 == 0 ? "Identity" : "Neg", {x}));
    }
    b.output(b.node("y", "Max", all));
  });
  EXPECT_EQ(simplified_nodes(model), 3u);
}

TEST(LongGraphs, ManyOutputs) {
  const Model model = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {1});
    for (int i = 0; i < kNodes; ++i) {
      Value* same = b.node(name("i", i), "Identity", {x});
      b.output(b.node(name("v", i), "Mul", {same, constant(b, i, static_cast<float>(i))}));
    }
  });
  EXPECT_GT(simplified_nodes(model), 1u);
}

}  // namespace
}  // namespace dwindle::testing
