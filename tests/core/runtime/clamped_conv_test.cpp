// A Conv and the Relu or Clip behind it run as one: nobody may see a difference.
#include <gtest/gtest.h>

#include "core/ops/clamp.h"
#include "core/runtime/float_executor.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

Value* conv(GraphBuilder& b, Value* x) {
  return b.node("conv", "Conv", {x, b.ramp("w", {2, 2, 3, 3})},
                {{"kernel_shape", std::vector<int64_t>{3, 3}}});
}

Value* clip(GraphBuilder& b, Value* x) {
  return b.node(
      "y", "Clip",
      {x, b.constant("low", Tensor::scalar(-1.0f)), b.constant("high", Tensor::scalar(6.0f))});
}

Model conv_and_clip() {
  return make_model([](GraphBuilder& b) {
    b.output(clip(b, conv(b, b.input("x", {1, 2, 5, 5}))));
  });
}

TensorMap image() {
  std::vector<float> values(50);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 7) - 3;
  return {{"x", Tensor::of<float>({1, 2, 5, 5}, values)}};
}

struct Watched {
  std::map<std::string, Tensor> seen;
  TensorMap outputs;
};

Watched run_watching(const Model& model, const std::vector<std::string>& names) {
  FloatExecutor executor(model);
  Watched result;
  std::vector<const Value*> values;
  for (const std::string& name : names) values.push_back(model.graph->find(name));
  executor.watch(values, [&](const Value& value, const Tensor& tensor) {
    EXPECT_TRUE(result.seen.emplace(value.name(), tensor).second) << value.name() << " twice";
  });
  result.outputs = executor.run(image());
  return result;
}

TEST(ClampedConv, WatchedValuesAreThoseOfTheGraph) {
  const Model model = conv_and_clip();
  const Watched both = run_watching(model, {"conv", "y"});
  const Watched last = run_watching(model, {"y"});
  ASSERT_EQ(both.seen.size(), 2u);
  ASSERT_EQ(last.seen.size(), 1u);
  const auto before = to_floats(both.seen.at("conv")), after = to_floats(both.seen.at("y"));
  bool clipped = false;
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(after[i], std::clamp(before[i], -1.0f, 6.0f));
    clipped |= after[i] != before[i];
  }
  EXPECT_TRUE(clipped);
  EXPECT_TRUE(last.seen.at("y").identical(both.seen.at("y")));
  EXPECT_TRUE(last.outputs.at("y").identical(both.outputs.at("y")));
  EXPECT_TRUE(run_watching(model, {}).outputs.at("y").identical(last.outputs.at("y")));
}

// What others read too, or the caller gets, is made.
TEST(ClampedConv, OtherReadersGetTheConvolution) {
  const Model model = make_model([](GraphBuilder& b) {
    Value* c = conv(b, b.input("x", {1, 2, 5, 5}));
    b.output(clip(b, c));
    b.output(b.node("negative", "Neg", {c}));
  });
  const Model handed_out = make_model([](GraphBuilder& b) {
    Value* c = conv(b, b.input("x", {1, 2, 5, 5}));
    b.output(clip(b, c));
    b.output(c);
  });
  const auto seen = run_watching(conv_and_clip(), {"conv"}).seen;
  const auto want = to_floats(seen.at("conv"));
  const auto negative = to_floats(run_watching(model, {}).outputs.at("negative"));
  for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ(negative[i], -want[i]);
  EXPECT_TRUE(run_watching(handed_out, {}).outputs.at("conv").identical(seen.at("conv")));
}

TEST(ClampedConv, BoundsAreConstantFloats) {
  const Model model = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {1});
    b.node("relu", "Relu", {x});
    b.node("upper", "Clip", {x, nullptr, b.constant("six", Tensor::scalar(6.0f))});
    b.node("fed", "Clip", {x, b.input("low", {})});
    b.node("nan", "Clip", {x, b.constant("none", Tensor::scalar(NAN))});
    b.node("neg", "Neg", {x});
  });
  auto bounds = [&](const char* name) {
    return clamp_bounds(*model.graph->find(name)->producer(), 17);
  };
  EXPECT_EQ(bounds("relu")->min, 0);
  EXPECT_EQ(bounds("relu")->max, INFINITY);
  EXPECT_EQ(bounds("upper")->max, 6);
  EXPECT_EQ(bounds("upper")->min, std::numeric_limits<float>::lowest());
  for (const char* name : {"fed", "nan", "neg"}) EXPECT_FALSE(bounds(name)) << name;
}

}  // namespace
}  // namespace dwindle::testing
