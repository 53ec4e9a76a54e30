#include "passes/node_names.h"

#include <gtest/gtest.h>

#include <set>

#include "core/support/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/graph_builder.h"

namespace dwindle::passes {
namespace {

using testing::GraphBuilder;

std::set<std::string> names_of(const MatchedNodes& matched) {
  std::set<std::string> names;
  for (const Node* node : matched.nodes) names.insert(handle(*node));
  return names;
}

// Nodes with names, with none, with brackets in them, and in a branch.
Model named() {
  Model model = testing::make_nested_model(
      {2}, [](GraphBuilder& b, Value* x) { b.output(b.node("inner", "Neg", {x})); });
  GraphBuilder b(*model.graph);
  Value* value = model.graph->find("x");
  for (const char* name : {"layer[0]", "layer[1]", "layer0", "block/one", "block/two"}) {
    value = b.node(std::string("of_") + name, "Neg", {value});
    value->producer()->name = name;
  }
  b.output(b.node("nameless", "Abs", {value}));
  return model;
}

TEST(NodeNames, a_node_without_a_name_is_called_after_its_output) {
  const Model model = named();
  EXPECT_EQ(handle(*model.graph->find("nameless")->producer()), "nameless");
  EXPECT_EQ(handle(*model.graph->find("of_layer0")->producer()), "layer0");
}

TEST(NodeNames, every_node_is_matched_by_its_whole_name) {
  const Model model = named();
  size_t nodes = 0;
  for_each_graph(*model.graph, [&](Graph& graph) {
    for (const Node* node : graph.nodes()) {
      ++nodes;
      const MatchedNodes matched = matching_nodes(model, nullptr, {handle(*node)}, "exclude");
      EXPECT_TRUE(matched.nodes.contains(node)) << handle(*node);
      EXPECT_TRUE(matched.notes.empty());
    }
  });
  EXPECT_EQ(matching_nodes(model, nullptr, {"*"}, "exclude").nodes.size(), nodes);
  EXPECT_TRUE(matching_nodes(model, nullptr, {}, "exclude").nodes.empty());
}

TEST(NodeNames, globs) {
  const Model model = named();
  const auto match = [&](const std::vector<std::string>& patterns) {
    return names_of(matching_nodes(model, nullptr, patterns, "exclude"));
  };
  using Names = std::set<std::string>;
  EXPECT_EQ(match({"block/*"}), (Names{"block/one", "block/two"}));
  EXPECT_EQ(match({"layer?"}), (Names{"layer0"}));
  EXPECT_EQ(match({"inn*"}), (Names{"inner"}));
  // As a name and as a glob: both mean something here.
  EXPECT_EQ(match({"layer[0]"}), (Names{"layer[0]", "layer0"}));
  EXPECT_EQ(match({"layer[[]1]", "block/one"}), (Names{"layer[1]", "block/one"}));
}

TEST(NodeNames, a_pattern_without_a_node_names_the_nearest) {
  const Model model = named();
  testing::expect_error<BadOption>("exclude: no node has a name that matches 'block/on'", [&] {
    matching_nodes(model, nullptr, {"block/on"}, "exclude");
  });
  testing::expect_error<BadOption>("did you mean 'block/one'", [&] {
    matching_nodes(model, nullptr, {"layer0", "blok/one"}, "include");
  });
  testing::expect_error<BadOption>("nodes are called 'block/one'",
                                   [&] { matching_nodes(model, nullptr, {"*quux*"}, "include"); });
}

// Conv, BatchNormalization and Relu by the names of the model as it was given.
TEST(NodeNames, merged_nodes_stand_for_the_layer_that_they_went_into) {
  const auto build = [](bool simplified) {
    return testing::make_model([&](GraphBuilder& b) {
      Value* x = b.input("x", {1, 2, 4, 4});
      Value* value = b.node("c", "Conv", {x, b.ramp("w", {2, 2, 1, 1})});
      value->producer()->name = "conv";
      if (!simplified) {
        Value* ones = b.floats("ones", {2}, {1, 1});
        value = b.node("n", "BatchNormalization", {value, ones, ones, ones, ones});
        value->producer()->name = "norm";
        value = b.node("i", "Identity", {value});
        value->producer()->name = "same";
      }
      value = b.node("r", "Relu", {value});
      value->producer()->name = "relu";
      b.output(value);
    });
  };
  const Model original = build(false), model = build(true);
  const MatchedNodes norm = matching_nodes(model, &original, {"norm"}, "exclude");
  EXPECT_EQ(names_of(norm), std::set<std::string>{"conv"});
  ASSERT_EQ(norm.notes.size(), 1u);
  EXPECT_EQ(norm.notes[0], "exclude 'norm': 'norm' went into 'conv' when the model was simplified");
  const MatchedNodes same = matching_nodes(model, &original, {"same"}, "exclude");
  EXPECT_TRUE(same.nodes.empty());
  ASSERT_EQ(same.notes.size(), 1u);
  EXPECT_NE(same.notes[0].find("has no such node any more ('same')"), std::string::npos);
  EXPECT_THROW(matching_nodes(model, nullptr, {"norm"}, "exclude"), BadOption);
}

}  // namespace
}  // namespace dwindle::passes
