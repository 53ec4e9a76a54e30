#include "passes/quantize/parameters.h"

#include <gtest/gtest.h>

#include <random>

#include "core/support/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/graph_builder.h"
#include "tests/support/random_weights.h"

namespace dwindle::passes {
namespace {

using testing::AttributeArguments;
using testing::GraphBuilder;
using testing::random_weights;

// One node with weights and, where `bias` has a shape, a bias.
Model layer(const std::string& op, const Dims& data, Dims weights, Dims bias,
            const AttributeArguments& attributes = {}) {
  return testing::make_model([&](GraphBuilder& b) {
    std::vector<Value*> inputs = {b.input("x", to_shape(data)),
                                  b.constant("w", random_weights(std::move(weights), 1))};
    if (!bias.empty()) inputs.push_back(b.constant("b", random_weights(std::move(bias), 2)));
    b.output(b.node("y", op, inputs, attributes));
  });
}

WeightSite site_of(const Model& model) { return {*model.graph->nodes().begin(), 1}; }

TEST(Parameters, formats_follow_the_options) {
  const Model model = layer("MatMul", {1, 64}, {64, 8}, {});
  const Tensor& weights = *model.graph->find("w")->initializer();
  const auto format = [&](const WeightOptions& options) {
    return weight_format(site_of(model), weights, options);
  };
  EXPECT_EQ(format({}).axis, 1);
  EXPECT_EQ(format({.per_channel = false}).axis, -1);
  const WeightFormat blocks = format({.dtype = DType::kInt4, .block_size = 32});
  EXPECT_EQ(blocks.axis, 0);
  EXPECT_EQ(blocks.block_size, 32);
  // Blocks never reach beyond the summed axis.
  EXPECT_EQ(format({.dtype = DType::kInt4, .block_size = 1000}).block_size, 64);
  // Too few weights to a sum for blocks, and for 2 bits.
  const Model thin = layer("MatMul", {1, 4}, {4, 8}, {});
  const Tensor& few = *thin.graph->find("w")->initializer();
  const WeightFormat small =
      weight_format(site_of(thin), few, {.dtype = DType::kInt2, .block_size = 2});
  EXPECT_EQ(small.dtype, DType::kInt8);
  EXPECT_EQ(small.block_size, 0);
}

TEST(Parameters, factors_of_gemm_are_multiplied_in) {
  Model model = layer("Gemm", {1, 3}, {3, 2}, {2}, {{"alpha", 2.0f}, {"beta", 0.5f}});
  const WeightSite site = site_of(model);
  const Parameters parameters = parameters_of(site);
  const Tensor& weights = *model.graph->find("w")->initializer();
  const Tensor& bias = *model.graph->find("b")->initializer();
  for (int64_t i = 0; i < weights.size(); ++i) {
    EXPECT_EQ(parameters.weights.data<float>()[i], 2 * weights.data<float>()[i]);
  }
  ASSERT_TRUE(parameters.bias.has_value());
  for (int64_t i = 0; i < bias.size(); ++i) {
    EXPECT_EQ(parameters.bias->data<float>()[i], bias.data<float>()[i] / 2);
  }
  drop_factors(*site.node, parameters);
  EXPECT_EQ(site.node->attribute("alpha"), nullptr);
  EXPECT_EQ(site.node->attribute("beta"), nullptr);
}

TEST(Parameters, room_for_a_bias_is_zeros) {
  const Model conv = layer("Conv", {1, 2, 3, 3}, {4, 2, 1, 1}, {});
  EXPECT_TRUE(parameters_of(site_of(conv)).bias->identical(Tensor::zeros(DType::kFloat, {4})));
  const Model grouped =
      layer("ConvTranspose", {1, 4, 3, 3}, {4, 3, 1, 1}, {}, {{"group", int64_t{2}}});
  EXPECT_EQ(parameters_of(site_of(grouped)).bias->shape(), Dims{6});
  const Model product = layer("MatMul", {1, 2}, {2, 2}, {});
  EXPECT_FALSE(parameters_of(site_of(product)).bias.has_value());
}

TEST(Parameters, widened_scales_hold_every_bias_and_never_shrink) {
  std::mt19937 random(4);
  std::uniform_real_distribution<float> exponent(-30, 6);
  for (int round = 0; round < 200; ++round) {
    const int64_t channels = 1 + static_cast<int64_t>(random() % 9);
    const bool per_channel = round % 2 == 0;
    Tensor bias = random_weights({channels}, random());
    Tensor scales = Tensor::allocate(DType::kFloat, per_channel ? Dims{channels} : Dims{});
    for (int64_t i = 0; i < scales.size(); ++i) {
      scales.mutable_data<float>()[i] = std::exp2(exponent(random));
    }
    const Tensor before = scales;
    const float data_scale = std::exp2(exponent(random));
    widen_for_bias(scales, bias, data_scale);
    const IntegerBias integers = quantize_bias(bias, {}, scales, data_scale);
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t own = per_channel ? c : 0;
      EXPECT_GE(scales.data<float>()[own], before.data<float>()[own]);
      const double step = static_cast<double>(integers.scales.data<float>()[own]);
      const double held = integers.integers.data<int32_t>()[c] * step;
      const double real = static_cast<double>(bias.data<float>()[c]);
      // Half a step, and what float32 products of scales round.
      EXPECT_NEAR(held, real, step / 2 + std::abs(real) * 1e-6);
    }
  }
}

TEST(Parameters, bias_takes_the_correction) {
  const Tensor bias = Tensor::of<float>({3}, std::vector<float>{1, 2, 3});
  const std::vector<float> correction = {0.5f, -0.5f, 0};
  EXPECT_TRUE(corrected_bias(bias, {}).identical(bias));
  const Tensor corrected = corrected_bias(bias, correction);
  EXPECT_TRUE(corrected.identical(Tensor::of<float>({3}, std::vector<float>{1.5f, 1.5f, 3})));
  const Tensor scales = Tensor::of<float>({3}, std::vector<float>(3, 0.25f));
  EXPECT_TRUE(quantize_bias(bias, correction, scales, 0.5f)
                  .integers.identical(quantize_bias(corrected, {}, scales, 0.5f).integers));
}

// The means of outputs, by hand, of weights less the rounded ones over data that is its means.
void check_lost_means(const std::string& op, const Dims& shape, size_t channels,
                      const AttributeArguments& attributes = {}) {
  const Model model = layer(op, Dims(shape.size(), 1), shape, {}, attributes);
  Node& node = **model.graph->nodes().begin();
  const WeightSite site{&node, 1};
  const Tensor real = random_weights(shape, 8), rounded = random_weights(shape, 9);
  std::vector<double> means;
  for (float mean : random_weights({static_cast<int64_t>(channels)}, 6).values<float>()) {
    means.push_back(static_cast<double>(mean));
  }
  const std::vector<float> lost = lost_means(site, real, rounded, means);
  const bool rows = node.is("Conv") || node.int_attribute("transB", 0) != 0;
  const auto outputs = static_cast<size_t>(shape[rows ? 0 : 1]);
  const auto groups = static_cast<size_t>(node.int_attribute("group", 1));
  ASSERT_EQ(lost.size(), outputs) << op;
  const size_t own = channels / groups;
  const size_t taps = static_cast<size_t>(real.size()) / outputs / own;
  for (size_t o = 0; o < outputs; ++o) {
    double sum = 0;
    for (size_t i = 0; i < own * taps; ++i) {
      const size_t at = rows ? o * own * taps + i : i * outputs + o;
      const double error = static_cast<double>(real.data<float>()[at]) -
                           static_cast<double>(rounded.data<float>()[at]);
      sum += error * means[o / (outputs / groups) * own + i / taps];
    }
    EXPECT_NEAR(lost[o], sum, 1e-5) << op << " output " << o;
  }
  EXPECT_TRUE(lost_means(site, real, rounded, {}).empty());
  means.push_back(0);
  EXPECT_TRUE(lost_means(site, real, rounded, means).empty());
}

TEST(Parameters, lost_means_are_those_of_the_error_over_the_means) {
  check_lost_means("MatMul", {6, 4}, 6);
  check_lost_means("Gemm", {6, 4}, 6);
  check_lost_means("Gemm", {4, 6}, 6, {{"transB", int64_t{1}}});
  check_lost_means("Conv", {4, 6, 2, 3}, 6);
  check_lost_means("Conv", {4, 3, 2, 2}, 6, {{"group", int64_t{2}}});
  check_lost_means("Conv", {6, 1, 3, 3}, 6, {{"group", int64_t{6}}});
}

TEST(Parameters, weights_and_biases_that_are_not_finite_are_named) {
  for (float bad : {NAN, INFINITY, -INFINITY}) {
    for (const char* name : {"w", "b"}) {
      if (name == std::string("b") && !std::isnan(bad)) continue;  // a mask
      const Model model = layer("Conv", {1, 2, 3, 3}, {4, 2, 1, 1}, {4});
      Tensor tensor = *model.graph->find(name)->initializer();
      tensor.mutable_data<float>()[3] = bad;
      model.graph->find(name)->set_initializer(tensor);
      const std::string what = std::string(name == std::string("w") ? "weights" : "biases") +
                               " hold " + (std::isnan(bad) ? "NaN" : "an infinity") +
                               " at element 3 of ";
      testing::expect_error<BadModel>(what, [&] { require_finite_parameters(site_of(model)); });
      testing::expect_error<BadModel>(what, [&] { require_sound_weights(model); });
    }
  }
}

TEST(Parameters, sound_weights_may_lie_beside_masks_and_fillers) {
  const auto build = [](std::vector<float> table) {
    return testing::make_model([&](GraphBuilder& b) {
      Value* x = b.input("x", {2, 4});
      Value* m = b.node("m", "MatMul", {x, b.constant("w", random_weights({4, 2}, 1))});
      const auto size = static_cast<int64_t>(table.size());
      b.output(b.node("y", "Add", {m, b.floats("other", {size}, table)}));
    });
  };
  EXPECT_NO_THROW(require_sound_weights(build({0, -INFINITY})));
  EXPECT_NO_THROW(require_sound_weights(build({NAN})));
  testing::expect_error<BadModel>("the constant 'other' holds NaN at element 1 of [2]", [&] {
    require_sound_weights(build({0, NAN}));
  });
}

}  // namespace
}  // namespace dwindle::passes
