#include <gtest/gtest.h>

#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

// op(x, constants…), then Relu.
Model move(const char* op, const std::vector<std::vector<int64_t>>& constants,
           const AttributeArguments& attributes = {},
           const Shape& shape = {Dim::named("N"), 3, 4}) {
  return make_model([&](GraphBuilder& b) {
    std::vector<Value*> inputs = {b.input("x", shape)};
    for (const auto& values : constants) {
      inputs.push_back(b.ints("c" + std::to_string(inputs.size()), values));
    }
    b.output(b.node("y", "Relu", {b.node("m", op, inputs, attributes)}));
  });
}

void expect_dropped(const Model& model) {
  EXPECT_EQ(ops_of(*run_checked(model, "drop-noop-moves").graph), "Relu");
}

TEST(DropNoopMoves, DropsMovesOfAWholeTensor) {
  expect_dropped(move("Slice", {{0, 0}, {INT64_MAX, INT64_MAX}, {0, 1}}));
  expect_dropped(move("Slice", {{0}, {3}, {1}}));
  expect_dropped(move("Pad", {{0, 0, 0, 0, 0, 0}}));
  expect_dropped(move("Tile", {{1, 1, 1}}));
  expect_dropped(move("Expand", {{3, 4}}));
  expect_dropped(move("Expand", {{1, 1, 4}}));
  expect_dropped(move("Concat", {}, {{"axis", int64_t{1}}}));
}

TEST(DropNoopMoves, LeavesMovesThatChangeSomething) {
  const char* pass = "drop-noop-moves";
  expect_untouched(move("Slice", {{1}, {INT64_MAX}, {1}}), pass);
  expect_untouched(move("Slice", {{0}, {2}, {1}}), pass);
  // The same shape, but from back to front.
  expect_untouched(move("Slice", {{-1}, {INT64_MIN}, {1}, {-1}}), pass);
  expect_untouched(move("Pad", {{0, 0, 0, 0, 0, 1}}), pass);
  expect_untouched(move("Tile", {{1, 2, 1}}), pass);
  expect_untouched(move("Expand", {{2, 1, 3, 4}}), pass);
  expect_untouched(move("Expand", {{3, 1, 1}}, {}, {1, 3, 4}), pass);
}

TEST(DropNoopMoves, WorksInNestedGraphs) {
  const Model before = make_nested_model({2, 3}, [](GraphBuilder& b, Value* x) {
    Value* t = b.node("t", "Tile", {x, b.ints("repeats", {1, 1})});
    b.output(b.node("r", "Relu", {t}));
  });
  const Model model = run_checked(before, "drop-noop-moves");
  EXPECT_EQ(ops_of(*model.graph->last_node()->graph_attribute("then_branch")), "Relu");
}

}  // namespace
}  // namespace dwindle::testing
