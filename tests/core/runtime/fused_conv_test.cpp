// A Conv runs as one with the Pad in front of it and the BatchNormalization, Relu or Clip behind
// it: nobody may see a difference.
#include <gtest/gtest.h>

#include <random>

#include "core/ops/clamp.h"
#include "core/runtime/float_executor.h"
#include "core/support/error.h"
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

TEST(FusedConv, WatchedValuesAreThoseOfTheGraph) {
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
TEST(FusedConv, OtherReadersGetTheConvolution) {
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

// Models may leave out what nobody reads; none of them may bring a plan down.
TEST(FusedConv, OutputsAndInputsMayBeOmitted) {
  const Model no_output = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {1, 2, 5, 5});
    b.nodes({""}, "Conv", {x, b.ramp("w", {2, 2, 3, 3})});
    b.nodes({""}, "Sigmoid", {x});
    b.output(b.node("y", "Neg", {x}));
  });
  EXPECT_EQ(run_watching(no_output, {}).outputs.size(), 1u);
  const Model no_input = make_model([](GraphBuilder& b) {
    b.input("x", {1, 2, 5, 5});
    Value* gate = b.node("gate", "Sigmoid", {nullptr});
    b.output(b.node("y", "Mul", {gate, nullptr}));
  });
  EXPECT_THROW(run_watching(no_input, {}), BadModel);
}

TEST(FusedConv, BoundsAreConstantFloats) {
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

// Which functions run as the layer writes, and in which form.
TEST(FusedConv, ActivationsAreWhatTheNodesMakeOneByOne) {
  struct Form {
    const char* op;
    bool gates;  // the product of the function and its argument
    AttributeArguments attributes;
  };
  const AttributeArguments::value_type sixth = {"alpha", 1.0f / 6.0f};
  const Form forms[] = {{"Sigmoid", false, {}},    {"Tanh", false, {}},
                        {"HardSwish", false, {}},  {"Elu", false, {}},
                        {"Sigmoid", true, {}},     {"HardSigmoid", true, {sixth}},
                        {"HardSigmoid", true, {}}, {"Tanh", true, {}}};
  for (const Form& form : forms) {
    for (const int64_t groups : {1, 2}) {
      for (const bool read_elsewhere : {false, true}) {
        const Model model = make_model([&](GraphBuilder& b) {
          Value* x = b.input("x", {1, 2, 5, 5});
          Value* c = b.node("conv", "Conv", {x, b.ramp("w", {2, 2 / groups, 3, 3})},
                            {{"group", groups}, {"kernel_shape", std::vector<int64_t>{3, 3}}});
          Value* y = b.node("function", form.op, {c}, form.attributes);
          if (form.gates) y = b.node("y", "Mul", {c, y});
          b.output(y);
          if (read_elsewhere) b.output(b.node("other", "Neg", {c}));
        });
        std::vector<std::string> all;
        for (const Node* node : model.graph->nodes()) all.push_back(node->output()->name());
        const Watched together = run_watching(model, {}), apart = run_watching(model, all);
        for (const auto& [name, want] : apart.outputs) {
          EXPECT_TRUE(together.outputs.at(name).identical(want)) << form.op << " " << name;
        }
      }
    }
  }
}

// Which nodes stand around a Conv, and what they look like.
struct Surroundings {
  bool pad, computed_pads, norm, clip;
  float pad_value;
  std::vector<int64_t> pads;  // of the last two axes
  std::string auto_pad;

  explicit Surroundings(std::mt19937& rng) {
    pad = rng() % 4 != 0;
    computed_pads = rng() % 2 == 0;
    norm = rng() % 3 != 0;
    clip = rng() % 2 == 0;
    pad_value = rng() % 4 == 0 ? 1.5f : 0.0f;
    for (int i = 0; i < 4; ++i) pads.push_back(static_cast<int64_t>(rng() % 4) - (rng() % 5 == 0));
    auto_pad = rng() % 3 == 0 ? "SAME_UPPER" : "NOTSET";
  }

  Value* padded(GraphBuilder& b, Value* x) const {
    if (!pad) return x;
    Value* amounts = b.ints("pads", {0, 0, pads[0], pads[1], 0, 0, pads[2], pads[3]});
    if (computed_pads) {  // what PyTorch's exporter leaves of it
      Value* front = b.ints("front", {0, 0, pads[0], pads[1]});
      Value* size = b.node("size", "Shape", {front});
      Value* zeros = b.node("zeros", "ConstantOfShape", {size},
                            {{"value", Tensor::of<int64_t>({1}, std::vector<int64_t>{0})}});
      Value* sum = b.node("sum", "Add", {zeros, front});
      Value* back = b.ints("back", {0, 0, pads[2], pads[3]});
      amounts = b.node("amounts", "Concat", {sum, back}, {{"axis", int64_t{0}}});
    }
    return b.node("padded", "Pad", {x, amounts, b.constant("fill", Tensor::scalar(pad_value))});
  }

  Model model() const {
    return make_model([this](GraphBuilder& b) {
      Value* x = b.input("x", {1, 2, 5, 5});
      Value* y = b.node("conv", "Conv", {padded(b, x), b.ramp("w", {2, 2, 3, 3})},
                        {{"kernel_shape", std::vector<int64_t>{3, 3}}, {"auto_pad", auto_pad}});
      if (norm) {
        y = b.node("norm", "BatchNormalization",
                   {y, b.floats("scale", {2}, {1.5f, -0.5f}), b.floats("bias", {2}, {0.25f, 1}),
                    b.floats("mean", {2}, {0.5f, -2}), b.floats("variance", {2}, {0.75f, 4})});
      }
      if (clip) y = testing::clip(b, y);
      b.output(y);
      b.output(b.node("other", "Neg", {x}));  // also reads what the Pad reads
    });
  }
};

TEST(FusedConv, IsWhatTheNodesMakeOneByOne) {
  std::mt19937 rng(1);
  int ran = 0;
  for (int round = 0; round < 200; ++round) {
    const Surroundings around(rng);
    const Model model = around.model();
    Watched together, apart;
    try {
      together = run_watching(model, {});
    } catch (const BadModel&) {  // pads that leave nothing: the nodes must refuse too
      EXPECT_THROW(run_watching(model, {"padded", "conv"}), BadModel);
      continue;
    }
    std::vector<std::string> all;
    for (const Node* node : model.graph->nodes()) all.push_back(node->output()->name());
    apart = run_watching(model, all);
    ASSERT_EQ(apart.seen.size(), all.size());
    ++ran;
    for (const auto& [name, want] : apart.outputs) {
      const Tensor& got = together.outputs.at(name);
      ASSERT_EQ(got.shape(), want.shape());
      const auto a = to_floats(got), e = to_floats(want);
      for (size_t i = 0; i < e.size(); ++i) {
        EXPECT_EQ(a[i], e[i]) << name << " in round " << round;
      }
    }
  }
  EXPECT_GT(ran, 120);
}

}  // namespace
}  // namespace dwindle::testing
