#include "core/ir/inline_functions.h"

#include <gtest/gtest.h>

#include "core/ir/verify.h"
#include "core/runtime/float_executor.h"
#include "core/support/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

Attribute reference(const std::string& name, const std::string& to) {
  Attribute attribute;
  attribute.name = name;
  attribute.reference = to;
  attribute.type = 1;  // FLOAT
  return attribute;
}

template <typename Build>
Function make_function(const std::string& name, Build&& build) {
  Function function;
  function.domain = "local";
  function.name = name;
  function.opsets = {{"", 17}, {"local", 1}};
  function.graph = std::make_unique<Graph>();
  GraphBuilder b(*function.graph);
  build(b);
  return function;
}

Value* untyped_input(GraphBuilder& b, const std::string& name) {
  return b.graph().add_input(b.graph().add_value(name));
}

void make_local(Graph& graph) { graph.last_node()->domain = "local"; }

// leaky(x) {slope = 0.5} = LeakyRelu(x) {alpha = slope}
// twice(x) {slope} = leaky(leaky(x) {slope}) + x
Model make_calls() {
  Model model = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {3});
    Value* t = b.node("t", "twice", {x}, {{"slope", 0.25f}});
    make_local(b.graph());
    Value* y = b.node("y", "leaky", {t});
    make_local(b.graph());
    b.output(y);
  });
  model.opsets["local"] = 1;
  Function leaky = make_function("leaky", [](GraphBuilder& b) {
    b.output(b.node("y", "LeakyRelu", {untyped_input(b, "x")}));
    b.graph().last_node()->attributes().push_back(reference("alpha", "slope"));
  });
  leaky.default_attributes.emplace_back();
  leaky.default_attributes.back().name = "slope";
  leaky.default_attributes.back().value = 0.5f;
  Function twice = make_function("twice", [](GraphBuilder& b) {
    Value* x = untyped_input(b, "x");
    Value* a = b.node("a", "leaky", {x});
    make_local(b.graph());
    b.graph().last_node()->attributes().push_back(reference("slope", "slope"));
    Value* c = b.node("b", "leaky", {a});
    make_local(b.graph());
    b.output(b.node("s", "Add", {c, x}));
  });
  twice.attributes = {"slope"};
  model.functions.push_back(std::move(twice));
  model.functions.push_back(std::move(leaky));
  return model;
}

TEST(InlineFunctions, PutsBodiesWhereTheyAreCalled) {
  const Model before = make_calls();
  Model model = before.clone();
  EXPECT_EQ(inline_functions(model).calls, 2);
  EXPECT_TRUE(model.functions.empty());
  EXPECT_FALSE(model.opsets.contains("local"));
  EXPECT_EQ(ops_of(*model.graph), "LeakyRelu LeakyRelu Add LeakyRelu");
  EXPECT_TRUE(find_faults(model).empty());
  EXPECT_NE(model.graph->find("t"), nullptr);
  // Slopes 0.25 (given), 0.5 and 0.5 (defaults): -8 -> -2 -> -1, -1 - 8 = -9 -> -4.5.
  const TensorMap feeds = {{"x", Tensor::of<float>({3}, std::vector<float>{-8, 0, 2})}};
  for (const Model* one : std::initializer_list<const Model*>{&before, &model}) {
    const Tensor y = FloatExecutor(*one).run(feeds).at("y");
    EXPECT_EQ(to_floats(y), (std::vector<float>{-4.5f, 0, 4}));
  }
}

TEST(InlineFunctions, LetsTheExecutorWatchTheCallersValues) {
  const Model model = make_calls();
  FloatExecutor executor(model);
  const Value* t = model.graph->find("t");
  int seen = 0;
  executor.watch({t}, [&](const Value& value, const Tensor&) { seen += &value == t ? 1 : 100; });
  executor.run({{"x", Tensor::of<float>({3}, std::vector<float>{-8, 0, 2})}});
  EXPECT_EQ(seen, 1);
}

TEST(InlineFunctions, RefusesACircle) {
  Model model = make_calls();
  Graph& body = *model.functions[1].graph;
  body.last_node()->op_type = "twice";
  body.last_node()->domain = "local";
  EXPECT_THROW(inline_functions(model), BadModel);
}

TEST(InlineFunctions, WorksInNestedGraphs) {
  Model model = make_nested_model({3}, [](GraphBuilder& b, Value* x) {
    Value* y = b.node("l", "leaky", {x});
    make_local(b.graph());
    b.output(y);
  });
  model.opsets["local"] = 1;
  model.functions = std::move(make_calls().functions);
  EXPECT_TRUE(run_checked(model, "inline-functions").functions.empty());
}

// f0 = Neg; f(i + 1)(x) = f(i)(f(i)(x)): as many nodes as a power of the depth.
Model make_doubling(int depth) {
  Model model = make_model([&](GraphBuilder& b) {
    Value* y = b.node("y", "f" + std::to_string(depth), {b.input("x", {3})});
    make_local(b.graph());
    b.output(y);
  });
  model.opsets["local"] = 1;
  for (int i = depth; i >= 0; --i) {
    model.functions.push_back(make_function("f" + std::to_string(i), [&](GraphBuilder& b) {
      Value* x = untyped_input(b, "x");
      if (i == 0) return b.output(b.node("y", "Neg", {x}));
      for (const char* name : {"h", "y"}) {
        x = b.node(name, "f" + std::to_string(i - 1), {x});
        make_local(b.graph());
      }
      b.output(x);
    }));
  }
  return model;
}

TEST(InlineFunctions, RefusesWhatGrowsBeyondMeasure) {
  Model small = make_doubling(3);
  EXPECT_EQ(inline_functions(small).calls, 1);
  EXPECT_EQ(small.graph->num_nodes(), 8u);
  for (int depth : {40, 100}) {
    Model model = make_doubling(depth);
    expect_error<Unsupported>("local function 'f19': inlining its calls would take 1048575 nodes",
                              [&] { inline_functions(model); });
    expect_error<Unsupported>("local function 'f19'", [&] { FloatExecutor executor(model); });
  }
}

TEST(InlineFunctions, NamesTheFunctionThatTheGraphCallsTooOften) {
  Model model = make_doubling(17);
  GraphBuilder b(*model.graph);
  for (int i = 0; i < 8; ++i) {
    b.output(b.node("z" + std::to_string(i), "f17", {model.graph->inputs()[0]}));
    make_local(b.graph());
  }
  expect_error<Unsupported>("local function 'f17'", [&] { inline_functions(model); });
}

// As deep as a file may have it.
TEST(InlineFunctions, CallsNestDeeply) {
  constexpr int kDepth = 20000;
  Model model = make_model([&](GraphBuilder& b) {
    Value* y = b.node("y", "f" + std::to_string(kDepth), {b.input("x", {3})});
    make_local(b.graph());
    b.output(y);
  });
  model.opsets["local"] = 1;
  for (int i = kDepth; i >= 0; --i) {
    model.functions.push_back(make_function("f" + std::to_string(i), [&](GraphBuilder& b) {
      b.node("y", i == 0 ? "Neg" : "f" + std::to_string(i - 1), {untyped_input(b, "x")});
      if (i > 0) make_local(b.graph());
      b.output(b.graph().last_node()->output());
    }));
  }
  inline_functions(model);
  EXPECT_EQ(ops_of(*model.graph), "Neg");
}

}  // namespace
}  // namespace dwindle::testing
