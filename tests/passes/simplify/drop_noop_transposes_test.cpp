#include <gtest/gtest.h>

#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

using Integers = std::vector<int64_t>;

Value* transpose(GraphBuilder& b, const char* name, Value* x, const Integers& perm) {
  return b.node(name, "Transpose", {x}, {{"perm", perm}});
}

TEST(DropNoopTransposes, DropsPairsThatUndoEachOther) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* t = transpose(b, "t", b.input("x", {2, 3, 4}), {1, 2, 0});
    b.output(b.node("y", "Relu", {transpose(b, "u", t, {2, 0, 1})}));
  });
  EXPECT_EQ(ops_of(*run_checked(before, "drop-noop-transposes").graph), "Relu");
}

TEST(DropNoopTransposes, KeepsTheFirstForOthers) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* t = transpose(b, "t", b.input("x", {2, 3, 4}), {1, 2, 0});
    b.output(b.node("y", "Relu", {transpose(b, "u", t, {2, 0, 1})}));
    b.output(b.node("z", "Neg", {t}));
  });
  EXPECT_EQ(ops_of(*run_checked(before, "drop-noop-transposes").graph), "Transpose Relu Neg");
}

TEST(DropNoopTransposes, MergesARow) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* t = transpose(b, "t", b.input("x", {2, 3, 4}), {1, 2, 0});
    b.output(transpose(b, "y", transpose(b, "u", t, {0, 2, 1}), {2, 1, 0}));
  });
  const Model model = run_checked(before, "drop-noop-transposes");
  EXPECT_EQ(ops_of(*model.graph), "Transpose");
}

TEST(DropNoopTransposes, LeavesOneThatMovesAnAxis) {
  expect_untouched(make_model([](GraphBuilder& b) {
                     b.output(transpose(b, "y", b.input("x", {2, 3, 4}), {0, 2, 1}));
                   }),
                   "drop-noop-transposes");
}

TEST(DropNoopTransposes, WorksInNestedGraphs) {
  const Model before = make_nested_model({2, 3}, [](GraphBuilder& b, Value* x) {
    b.output(b.node("r", "Relu", {transpose(b, "t", x, {0, 1})}));
  });
  const Model model = run_checked(before, "drop-noop-transposes");
  EXPECT_EQ(ops_of(*model.graph->last_node()->graph_attribute("then_branch")), "Relu");
}

}  // namespace
}  // namespace dwindle::testing
