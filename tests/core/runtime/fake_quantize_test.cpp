// A QuantizeLinear and its DequantizeLinear run as one: nobody may see a difference.
#include "core/ops/fake_quantize.h"

#include <gtest/gtest.h>

#include "core/runtime/float_executor.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

struct Constants {
  Tensor scale = Tensor::scalar(0.1f), zero = Tensor::scalar<uint8_t>(7);
  Tensor back_scale = scale, back_zero = zero;
};

Model round_trip(const Constants& constants, bool integers_out = false) {
  return make_model([&](GraphBuilder& b) {
    Value* x = b.input("x", {1, 2, 3});
    Value* q = b.node("q", "QuantizeLinear",
                      {x, b.constant("s", constants.scale), b.constant("z", constants.zero)});
    b.output(
        b.node("y", "DequantizeLinear",
               {q, b.constant("t", constants.back_scale), b.constant("u", constants.back_zero)}));
    if (integers_out) b.output(q);
  });
}

TensorMap feed() {
  return {{"x", Tensor::of<float>({1, 2, 3}, {-1.0f, -0.04f, 0.05f, 0.15f, 3.33f, 1e9f})}};
}

bool fuses(const Model& model) {
  return round_trip_of(*model.graph->find("q")->producer(), *model.graph->find("y")->producer())
      .has_value();
}

TEST(FakeQuantize, GivesTheBitsOfTheTwoNodes) {
  const Model fused = round_trip({}), apart = round_trip({}, true);
  ASSERT_TRUE(fuses(fused));
  const Tensor y = FloatExecutor(fused).run(feed()).at("y");
  const TensorMap both = FloatExecutor(apart).run(feed());
  EXPECT_TRUE(y.identical(both.at("y")));
  EXPECT_EQ(both.at("q").values<uint8_t>()[4], 40);
}

TEST(FakeQuantize, IntegersThatAreWatchedAreMade) {
  const Model model = round_trip({});
  FloatExecutor executor(model);
  const Tensor alone = executor.run(feed()).at("y");
  std::vector<Tensor> seen;
  executor.watch({model.graph->find("q"), model.graph->find("y")},
                 [&](const Value&, const Tensor& tensor) { seen.push_back(tensor); });
  EXPECT_TRUE(executor.run(feed()).at("y").identical(alone));
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].dtype(), DType::kUint8);
  EXPECT_TRUE(seen[1].identical(alone));
}

TEST(FakeQuantize, OnlyWhereBothShareOneScaleAndZeroPoint) {
  Constants constants;
  constants.back_scale = Tensor::scalar(0.2f);
  EXPECT_FALSE(fuses(round_trip(constants)));
  constants = {};
  constants.back_zero = Tensor::scalar<uint8_t>(8);
  EXPECT_FALSE(fuses(round_trip(constants)));
  constants = {};
  constants.scale = constants.back_scale = Tensor::of<float>({2}, {0.1f, 0.2f});
  constants.zero = constants.back_zero = Tensor::of<uint8_t>({2}, {1, 2});
  EXPECT_FALSE(fuses(round_trip(constants)));
  constants = {};
  constants.zero = constants.back_zero = Tensor::scalar<int16_t>(-3);
  EXPECT_TRUE(fuses(round_trip(constants)));
  EXPECT_EQ(FloatExecutor(round_trip(constants)).run(feed()).at("y").values<float>()[4], 3.3f);
}

}  // namespace
}  // namespace dwindle::testing
