#include <gtest/gtest.h>

#include "passes/quantize/quantize.h"
#include "passes/registry.h"
#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

constexpr const char* kPass = "widen-resize-axes";
using Ints = std::vector<int64_t>;

// A Resize of %x: float32[shape] along `axes`, by scales where there are any, else to sizes.
Model resize(const Shape& shape, const Ints& axes, const std::vector<float>& scales,
             const Ints& sizes, AttributeArguments attributes = {}) {
  attributes.emplace_back("axes", axes);
  return make_model(
      [&](GraphBuilder& b) {
        std::vector<Value*> inputs = {b.input("x", shape), nullptr};
        if (!scales.empty()) {
          inputs.push_back(b.floats("scales", {static_cast<int64_t>(scales.size())}, scales));
        } else {
          inputs.insert(inputs.end(), {nullptr, b.ints("sizes", sizes)});
        }
        b.output(b.node("y", "Resize", inputs, attributes));
      },
      19);
}

const Node& resize_of(const Model& model) {
  for (const Node* node : model.graph->nodes()) {
    if (node->is("Resize")) return *node;
  }
  throw std::logic_error("no Resize");
}

TEST(WidenResizeAxes, OrdersWhatAllAxesTake) {
  const Model widened[] = {
      run_checked(resize({2, 3, 4, 5}, {3, 2}, {3, 2}, {}), kPass),
      run_checked(resize({2, 3, 4, 5}, {-1, 1}, {}, {7, 6}, {{"mode", std::string("linear")}}),
                  kPass),
      run_checked(resize({Dim::named("N"), 3, 4, 5}, {2, 3}, {}, {8, 9}), kPass),
  };
  for (const Model& model : widened) {
    EXPECT_EQ(resize_of(model).attribute("axes"), nullptr);
  }
  // Where extents are not known, they are asked for when the model runs.
  EXPECT_EQ(ops_of(*widened[2].graph), "Shape Concat Gather Resize");
}

TEST(WidenResizeAxes, ConstantsFoldToConstants) {
  Model model = resize({2, 3, 4, 5}, {3, 2}, {3, 2}, {});
  passes::PassContext context;
  for (const char* pass : {kPass, "fold-constants", "drop-dead-code"}) {
    passes::make_pass(pass, {})->run(model, context);
  }
  const Tensor* scales = resize_of(model).input(2)->constant();
  ASSERT_NE(scales, nullptr);
  const auto values = scales->values<float>();
  EXPECT_EQ(std::vector<float>(values.begin(), values.end()), (std::vector<float>{1, 1, 2, 3}));
}

TEST(WidenResizeAxes, LeavesWhatHangsOnTheChoiceOfAxes) {
  expect_untouched(resize({2, 3, 4, 5}, {2, 3}, {}, {8, 8},
                          {{"keep_aspect_ratio_policy", std::string("not_larger")}}),
                   kPass);
  expect_untouched(make_model(
                       [](GraphBuilder& b) {
                         Value* x = b.input("x", {1, 2, 4, 4});
                         Value* roi = b.floats("roi", {4}, {0, 0, 0.5f, 0.5f});
                         Value* sizes = b.ints("sizes", {3, 3});
                         b.output(b.node("y", "Resize", {x, roi, nullptr, sizes},
                                         {{"axes", Ints{2, 3}},
                                          {"mode", std::string("linear")},
                                          {"coordinate_transformation_mode",
                                           std::string("tf_crop_and_resize")}}));
                       },
                       19),
                   kPass);
}

TEST(WidenResizeAxes, BelongsToStaticQuantization) {
  const auto has = [](const passes::Recipe& recipe) {
    return std::ranges::any_of(recipe.steps,
                               [](const passes::Step& step) { return step.pass == kPass; });
  };
  EXPECT_TRUE(has(passes::quantize_recipe({})));
  EXPECT_FALSE(has(passes::quantize_recipe({{"activations", std::string("none")}})));
}

}  // namespace
}  // namespace dwindle::testing
