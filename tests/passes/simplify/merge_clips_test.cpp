#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

struct Bounds {
  std::optional<float> low, high;
};

// Bounds of a Clip each; none at all is Relu.
Model clips(const std::vector<std::optional<Bounds>>& row, int opset = 17) {
  return make_model(
      [&](GraphBuilder& b) {
        Value* x = b.input("x", {40});
        for (const auto& bounds : row) {
          const std::string name = x->name() + "c";
          if (!bounds) {
            x = b.node(name, "Relu", {x});
          } else if (opset < 11) {
            AttributeArguments attributes;
            if (bounds->low) attributes.emplace_back("min", *bounds->low);
            if (bounds->high) attributes.emplace_back("max", *bounds->high);
            x = b.node(name, "Clip", {x}, attributes);
          } else {
            auto bound = [&](const char* end, std::optional<float> value) {
              return value ? b.floats(name + end, {}, {*value}) : nullptr;
            };
            x = b.node(name, "Clip", {x, bound("_low", bounds->low), bound("_high", bounds->high)});
          }
        }
        b.output(x);
      },
      opset);
}

std::string left(const std::vector<std::optional<Bounds>>& row, int opset = 17) {
  return ops_of(*run_checked(clips(row, opset), "merge-clips").graph);
}

TEST(MergeClips, MergesReluAndClip) {
  for (int opset : {8, 17}) {
    EXPECT_EQ(left({std::nullopt, Bounds{-1, 0.5f}}, opset), "Clip");
    EXPECT_EQ(left({Bounds{0, 0.5f}, std::nullopt}, opset), "Clip");
    EXPECT_EQ(left({Bounds{-1, 0.5f}, std::nullopt}, opset), "Clip");
    EXPECT_EQ(left({Bounds{-1, {}}, std::nullopt}, opset), "Relu");
    EXPECT_EQ(left({std::nullopt, std::nullopt, std::nullopt}, opset), "Relu");
    EXPECT_EQ(left({Bounds{-1, 0.5f}, Bounds{-0.5f, {}}}, opset), "Clip");
  }
}

TEST(MergeClips, LeavesRangesThatDoNotMeet) {
  expect_untouched(clips({Bounds{-1, -0.5f}, std::nullopt}), "merge-clips");
  expect_untouched(clips({Bounds{1, -1}, std::nullopt}), "merge-clips");
}

TEST(MergeClips, LeavesSharedValues) {
  expect_untouched(make_model([](GraphBuilder& b) {
                     Value* r = b.node("r", "Relu", {b.input("x", {4})});
                     b.output(b.node("y", "Clip", {r, nullptr, b.floats("high", {}, {1})}));
                     b.output(b.node("z", "Neg", {r}));
                   }),
                   "merge-clips");
}

TEST(MergeClips, WorksInNestedGraphs) {
  const Model before = make_nested_model({2, 3}, [](GraphBuilder& b, Value* x) {
    b.output(b.node("s", "Relu", {b.node("r", "Relu", {x})}));
  });
  const Model model = run_checked(before, "merge-clips");
  EXPECT_EQ(ops_of(*model.graph->last_node()->graph_attribute("then_branch")), "Relu");
}

}  // namespace
}  // namespace dwindle::testing
