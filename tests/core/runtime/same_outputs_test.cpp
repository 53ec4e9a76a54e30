#include "core/runtime/same_outputs.h"

#include <gtest/gtest.h>

#include <limits>

#include "core/runtime/float_executor.h"
#include "core/support/error.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

Model scaled(float factor) {
  return make_model([&](GraphBuilder& b) {
    Value* x = b.input("x", {Dim::named("N"), 3});
    b.output(b.node("y", "Mul", {x, b.floats("k", {1}, {factor})}));
  });
}

TEST(SameOutputs, TellsRoundingFromChange) {
  EXPECT_TRUE(same_outputs(scaled(1), scaled(1)).same);
  EXPECT_TRUE(same_outputs(scaled(1), scaled(1.00001f)).same);
  const SameOutputs changed = same_outputs(scaled(1), scaled(1.01f));
  EXPECT_FALSE(changed.same);
  EXPECT_NEAR(changed.outputs[0].max_relative, 0.01, 1e-4);
  EXPECT_FALSE(same_outputs(scaled(1), scaled(std::numeric_limits<float>::quiet_NaN())).same);
}

TEST(SameOutputs, ComparesIntegersExactly) {
  auto sum = [](int64_t addend) {
    return make_model([&](GraphBuilder& b) {
      Value* x = b.input("x", {3}, DType::kInt64);
      b.output(b.node("y", "Add", {x, b.ints("k", {addend})}));
    });
  };
  EXPECT_TRUE(same_outputs(sum(1 << 30), sum(1 << 30)).same);
  EXPECT_FALSE(same_outputs(sum(1 << 30), sum((1 << 30) + 1)).same);
}

TEST(SameOutputs, ReportsWhatTheChangedModelRaises) {
  const Model broken = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {Dim::named("N"), 3});
    b.output(b.node("y", "Reshape", {x, b.ints("target", {1000})}));
  });
  const SameOutputs result = same_outputs(scaled(1), broken);
  EXPECT_FALSE(result.same);
  EXPECT_NE(result.summary().find("is not computed"), std::string::npos) << result.summary();
}

// Neither the unknown op nor its input, which cannot be made up, is needed for %y.
TEST(SameOutputs, LeavesOutWhatNoOutputNeeds) {
  const auto build = [](float factor, bool needed) {
    Model model = make_model([&](GraphBuilder& b) {
      Value* text = b.input("text", {2}, DType::kString);
      Value* x = b.input("x", {2});
      b.output(b.node("y", "Mul", {x, b.floats("k", {1}, {factor})}));
      Value* z = b.node("z", "Frobnicate", {text, x});
      if (needed) b.output(z);
    });
    return model;
  };
  EXPECT_TRUE(same_outputs(build(1, false), build(1, false)).same);
  EXPECT_FALSE(same_outputs(build(1, false), build(2, false)).same);
  EXPECT_THROW(same_outputs(build(1, true), build(1, true)), Unsupported);
  try {
    checked_same_outputs(build(1, true), build(1, true), "turn it off");
    ADD_FAILURE() << "no error";
  } catch (const Unsupported& error) {
    EXPECT_NE(std::string(error.what()).find("turn it off"), std::string::npos) << error.what();
  }
}

// Ids above 1 are out of range here: feeds are tried until the model runs.
TEST(RunnableFeeds, TriesSmallerIntegers) {
  const Model model = make_model([](GraphBuilder& b) {
    Value* ids = b.input("ids", {Dim::named("N"), 40}, DType::kInt64);
    b.output(b.node("y", "Gather", {b.ramp("table", {2, 3}), ids}));
  });
  FloatExecutor executor(model);
  EXPECT_THROW(executor.run(random_feeds(model, 1)), Error);
  EXPECT_NO_THROW(runnable_feeds(model, executor, 1));
  EXPECT_TRUE(same_outputs(model, model).same);
}

TEST(RandomFeeds, GivesOneNameOneExtent) {
  const Model model = make_model([](GraphBuilder& b) {
    b.input("a", {Dim::named("N"), Dim::named("T")});
    b.input("b", {Dim::named("T"), Dim::named("N"), 5}, DType::kBool);
  });
  const TensorMap feeds = random_feeds(model, 1);
  EXPECT_EQ(feeds.at("a").shape()[0], feeds.at("b").shape()[1]);
  EXPECT_EQ(feeds.at("a").shape()[1], feeds.at("b").shape()[0]);
  EXPECT_TRUE(feeds.at("a").identical(random_feeds(model, 1).at("a")));
  EXPECT_FALSE(feeds.at("a").identical(random_feeds(model, 2).at("a")));
}

}  // namespace
}  // namespace dwindle::testing
