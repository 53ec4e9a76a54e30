#include <gtest/gtest.h>

#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

Model casts(DType from, const std::vector<DType>& to) {
  return make_model([&](GraphBuilder& b) {
    Value* x = b.node("a", "Abs", {b.input("x", {4}, from)});
    for (size_t i = 0; i < to.size(); ++i) {
      x = b.node("c" + std::to_string(i), "Cast", {x}, {{"to", static_cast<int64_t>(to[i])}});
    }
    b.output(x);
  });
}

std::string left(DType from, const std::vector<DType>& to) {
  return ops_of(*run_checked(casts(from, to), "drop-noop-casts").graph);
}

TEST(DropNoopCasts, DropsCastsToTheSameType) {
  EXPECT_EQ(left(DType::kFloat, {DType::kFloat}), "Abs");
}

TEST(DropNoopCasts, MergesWhereTheFirstLosesNothing) {
  EXPECT_EQ(left(DType::kFloat, {DType::kDouble, DType::kFloat}), "Abs");
  EXPECT_EQ(left(DType::kInt8, {DType::kInt32, DType::kInt64}), "Abs Cast");
  EXPECT_EQ(left(DType::kInt8, {DType::kFloat, DType::kInt8}), "Abs");
  EXPECT_EQ(left(DType::kInt32, {DType::kInt64, DType::kFloat}), "Abs Cast");
}

TEST(DropNoopCasts, LeavesCastsThatRoundOrWrap) {
  expect_untouched(casts(DType::kFloat, {DType::kFloat16, DType::kFloat}), "drop-noop-casts");
  expect_untouched(casts(DType::kFloat, {DType::kInt32, DType::kFloat}), "drop-noop-casts");
  expect_untouched(casts(DType::kInt32, {DType::kFloat, DType::kInt32}), "drop-noop-casts");
  expect_untouched(casts(DType::kInt8, {DType::kUint8, DType::kInt8}), "drop-noop-casts");
}

TEST(DropNoopCasts, WorksInNestedGraphs) {
  const Model before = make_nested_model({2, 3}, [](GraphBuilder& b, Value* x) {
    Value* c = b.node("c", "Cast", {x}, {{"to", static_cast<int64_t>(DType::kFloat)}});
    b.output(b.node("r", "Relu", {c}));
  });
  const Model model = run_checked(before, "drop-noop-casts");
  EXPECT_EQ(ops_of(*model.graph->last_node()->graph_attribute("then_branch")), "Relu");
}

}  // namespace
}  // namespace dwindle::testing
