#include "passes/quantize/node_sqnr.h"

#include <gtest/gtest.h>

#include "core/ops/infer.h"
#include "tests/support/graph_builder.h"
#include "tests/support/random_weights.h"

namespace dwindle::passes {
namespace {

using testing::GraphBuilder;
using testing::random_weights;

// A convolution, one behind it, and one whose weights are zeros.
Model convolutions() {
  Model model = testing::make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {1, 8, 12, 12});
    Value* a = b.node("a", "Conv", {x, b.constant("v", random_weights({8, 8, 1, 1}, 1))});
    b.output(b.node("y", "Conv", {a, b.constant("w", random_weights({8, 8, 3, 3}, 2))}));
    const Tensor zeros = Tensor::zeros(DType::kFloat, {8, 8, 1, 1});
    b.output(b.node("z", "Conv", {x, b.constant("u", zeros)}));
  });
  infer_shapes(model);
  return model;
}

Plan plan_of(const Model& model, float range, const WeightOptions& weights) {
  Plan plan;
  plan.placement = place_quantization(model, {});
  for (const Value* value : plan.placement.values) {
    plan.params[value] = choose_params(-range, range, plan.activations, false);
  }
  for (const WeightSite& site : plan.placement.weights) {
    plan.weights.push_back(
        plan_weights(site, weights, plan.params.at(site.node->input(0)).scale, {}));
  }
  return plan;
}

std::map<std::string, double> sqnr_of(const Model& model, const Plan& plan) {
  const std::vector<Feed> feeds = {{{{"x", random_weights({1, 8, 12, 12}, 3)}}, {}}};
  std::map<std::string, double> by_output;
  for (const auto& [node, db] : node_sqnr(model, plan, feeds, make_float_executor)) {
    by_output[node->output()->name()] = db;
  }
  return by_output;
}

TEST(NodeSqnr, a_bit_less_costs_6_dB) {
  const Model model = convolutions();
  // 256 steps over the range; the weights lose nothing that counts beside them.
  const auto fine = sqnr_of(model, plan_of(model, 32, {}));
  const auto coarse = sqnr_of(model, plan_of(model, 64, {}));
  for (const char* name : {"a", "y"}) {
    EXPECT_GT(fine.at(name), 15) << name;
    EXPECT_NEAR(fine.at(name) - coarse.at(name), 6.02, 1.0) << name;
  }
}

TEST(NodeSqnr, weights_count_too) {
  const Model model = convolutions();
  const auto bytes = sqnr_of(model, plan_of(model, 16, {}));
  const auto nibbles = sqnr_of(model, plan_of(model, 16, {.dtype = DType::kInt4}));
  EXPECT_GT(bytes.at("y"), nibbles.at("y") + 6);
}

// Each node is looked at with float before it: a ruined one does not ruin the next.
TEST(NodeSqnr, nodes_are_looked_at_one_by_one) {
  const Model model = convolutions();
  const Plan plan = plan_of(model, 32, {});
  Plan ruined = plan;
  ruined.params[model.graph->find("x")] = {1000, 128};
  const auto before = sqnr_of(model, plan), after = sqnr_of(model, ruined);
  EXPECT_LT(after.at("a"), 1);
  EXPECT_EQ(after.at("y"), before.at("y"));
}

TEST(NodeSqnr, zeros_lose_nothing_and_nodes_that_no_feed_reaches_have_none) {
  const Model model = convolutions();
  const Plan plan = plan_of(model, 32, {});
  EXPECT_EQ(plan.placement.nodes.size(), 3u);
  EXPECT_EQ(sqnr_of(model, plan).at("z"), HUGE_VAL);
  EXPECT_TRUE(node_sqnr(model, plan, {}, make_float_executor).empty());
}

}  // namespace
}  // namespace dwindle::passes
