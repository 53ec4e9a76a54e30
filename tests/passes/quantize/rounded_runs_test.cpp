#include "passes/quantize/rounded_runs.h"

#include <gtest/gtest.h>

#include <random>

#include "core/ops/infer.h"
#include "core/runtime/float_executor.h"
#include "core/support/error.h"
#include "passes/quantize/rewrite.h"
#include "passes/quantize/sensitivity.h"
#include "tests/support/expect_error.h"
#include "tests/support/graph_builder.h"
#include "tests/support/random_weights.h"

namespace dwindle::passes {
namespace {

using testing::GraphBuilder;
using testing::random_weights;

// Values that are inputs, in between, read by a branch, and outputs.
Model branching() {
  return testing::make_model(
      [](GraphBuilder& b) {
        Value* x = b.input("x", {2, 4});
        Value* on = b.input("on", {}, DType::kBool);
        Value* a = b.node("a", "MatMul", {x, b.constant("v", random_weights({4, 4}, 1))});
        Value* r = b.node("r", "Relu", {a});
        Value* branch = b.node("branch", "If", {on});
        GraphBuilder then_branch = b.nested("then_branch");
        then_branch.output(then_branch.node("t", "Abs", {r}));
        GraphBuilder else_branch = b.nested("else_branch");
        else_branch.output(else_branch.node("e", "Neg", {a}));
        b.output(b.node("y", "Add", {r, branch}));
        b.output(a);
      },
      21);
}

TEST(RoundedRuns, a_switched_copy_does_what_altering_does) {
  Model model = branching();
  infer_shapes(model);
  std::mt19937 random(5);
  for (DType dtype : {DType::kUint8, DType::kInt8, DType::kInt16}) {
    Plan plan;
    plan.activations = dtype;
    std::vector<const Value*> all;
    for (const char* name : {"x", "a", "r", "y"}) {
      all.push_back(model.graph->find(name));
      plan.params[all.back()] = choose_params(-2, 3, dtype, false);
    }
    const auto altered = runs_in_float_executor(model, plan);
    const auto switched = runs_of_switched_copy(model, plan, all, make_float_executor);
    TensorMap unrounded;
    for (int run = 0; run < 32; ++run) {
      std::vector<const Value*> chosen;
      for (const Value* value : all) {
        if (run > 0 && random() % 2 == 0) chosen.push_back(value);
      }
      const TensorMap feeds = {{"x", random_weights({2, 4}, 9)},
                               {"on", Tensor::scalar<bool>(true)}};
      altered->round(chosen);
      switched->round(chosen);
      const TensorMap wanted = altered->run(feeds), got = switched->run(feeds);
      ASSERT_EQ(wanted.size(), 2u);
      for (const auto& [name, tensor] : wanted) {
        EXPECT_TRUE(got.at(name).identical(tensor)) << name << " in run " << run;
      }
      if (run == 0) unrounded = wanted;
      const bool rounds = !chosen.empty();
      EXPECT_EQ(got.at("y").identical(unrounded.at("y")), !rounds) << run;
    }
  }
}

// Turned weights, factors of Gemm, a table, a product in a branch, and an LSTM whose first output
// nobody reads.
Model weighted() {
  return testing::make_model(
      [](GraphBuilder& b) {
        Value* rows = b.input("rows", {4}, DType::kInt64);
        Value* on = b.input("on", {}, DType::kBool);
        Value* looked_up =
            b.node("looked_up", "Gather", {b.constant("table", random_weights({9, 8}, 1)), rows});
        Value* turned = b.node("turned", "Transpose", {b.constant("v", random_weights({6, 8}, 2))});
        Value* a = b.node("a", "MatMul", {looked_up, turned});
        Value* y = b.node("y", "Gemm",
                          {a, b.constant("w", random_weights({6, 5}, 3)),
                           b.constant("bias", random_weights({5}, 4))},
                          {{"alpha", 0.5f}, {"beta", 3.0f}});
        b.output(y);
        Value* branch = b.node("branch", "If", {on});
        for (const char* name : {"then_branch", "else_branch"}) {
          GraphBuilder inner = b.nested(name);
          Value* own = inner.constant("own", random_weights({5, 3}, 5));
          inner.output(inner.node("product", "MatMul", {y, own}));
        }
        b.output(branch);
        Value* steps = b.node("steps", "Unsqueeze", {y, b.ints("axis", {1})});
        b.output(b.nodes({"", "last"}, "LSTM",
                         {steps, b.constant("lw", random_weights({1, 16, 5}, 6)),
                          b.constant("lr", random_weights({1, 16, 4}, 7))},
                         {{"hidden_size", int64_t{4}}})[1]);
      },
      21);
}

TEST(RoundedRuns, weights_are_those_of_the_quantized_model) {
  const TensorMap feeds = {{"rows", Tensor::of<int64_t>({4}, {3, 0, 8, 3})},
                           {"on", Tensor::scalar<bool>(true)}};
  for (const WeightOptions& options : {WeightOptions{}, WeightOptions{.dtype = DType::kInt4}}) {
    Model model = weighted();
    infer_shapes(model);
    Plan plan;
    plan.placement = place_quantization(model, {}, {.activations = false});
    for (const WeightSite& site : plan.placement.weights) {
      plan.weights.push_back(plan_weights(site, options, 0, {}));
    }
    EXPECT_EQ(plan.weights.size(), 7u);
    const TensorMap real = FloatExecutor(model).run(feeds);
    const TensorMap got = runs_in_float_executor(model, plan)->run(feeds);
    rewrite(model, plan, {}, {});
    const TensorMap wanted = FloatExecutor(model).run(feeds);
    ASSERT_EQ(got.size(), 3u);
    for (const auto& [name, tensor] : wanted) {
      const auto a = got.at(name).values<float>(), b = tensor.values<float>();
      ASSERT_EQ(a.size(), b.size());
      for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5f) << name;
      EXPECT_FALSE(got.at(name).identical(real.at(name))) << name;
    }
  }
}

// The other runtime knows one op more.
TEST(RoundedRuns, sensitive_values_are_found_where_the_operator_table_ends) {
  const auto build = [](const std::string& op) {
    Model model = testing::make_model([&](GraphBuilder& b) {
      Value* x = b.input("x", {4, 8});
      Value* a = b.node("a", "MatMul", {x, b.constant("v", random_weights({8, 8}, 1))});
      Value* r = b.node("r", op, {a});
      b.output(b.node("y", "MatMul", {r, b.constant("w", random_weights({8, 2}, 2))}));
    });
    infer_shapes(model);
    model.graph->find("r")->type = model.graph->find("a")->type;
    return model;
  };
  const auto find = [](Model& model, const MakeExecutor& executors) {
    Plan plan;
    plan.placement = place_quantization(model, {});
    for (const Value* value : plan.placement.values) {
      plan.params[value] = choose_params(-100, 100, DType::kUint8, false);
    }
    std::vector<std::string> names;
    const std::vector<Feed> feeds = {{{{"x", random_weights({4, 8}, 3)}}, {}}};
    for (const auto& [value, db] : sensitive_values(model, plan, feeds, 20, executors).values) {
      names.push_back(value->name());
      EXPECT_LT(db.value(), 20);
    }
    return names;
  };
  Model known = build("Neg"), unknown = build("NoSuchOp");
  const auto knows_better = [](const Model& model) -> std::unique_ptr<Executor> {
    static std::vector<std::unique_ptr<Model>> kept;
    kept.push_back(std::make_unique<Model>(model.clone()));
    for (Node* node : kept.back()->graph->nodes()) {
      if (node->is("NoSuchOp")) node->op_type = "Neg";
    }
    return make_float_executor(*kept.back());
  };
  const std::vector<std::string> wanted = find(known, make_float_executor);
  EXPECT_FALSE(wanted.empty());
  EXPECT_EQ(find(unknown, knows_better), wanted);
  testing::expect_error<Unsupported>("NoSuchOp", [&] { find(unknown, make_float_executor); });
  testing::expect_error<Unsupported>("no such luck", [&] {
    find(unknown, [](const Model&) -> std::unique_ptr<Executor> { throw Error("no such luck"); });
  });
}

}  // namespace
}  // namespace dwindle::passes
