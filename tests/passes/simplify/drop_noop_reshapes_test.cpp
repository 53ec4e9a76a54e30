#include <gtest/gtest.h>

#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

TEST(DropNoopReshapes, DropsAReshapeToTheSameShape) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {Dim::named("N"), 3, 4});
    Value* r = b.node("r", "Reshape", {x, b.ints("target", {-1, 3, 4})});
    b.output(b.node("y", "Relu", {r}));
  });
  const Model model = run_checked(before, "drop-noop-reshapes");
  EXPECT_EQ(ops_of(*model.graph), "Relu");
}

TEST(DropNoopReshapes, DropsFlattenOfAMatrix) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* f = b.node("f", "Flatten", {b.input("x", {Dim::named("N"), 3})});
    b.output(b.node("y", "Relu", {f}));
  });
  EXPECT_EQ(ops_of(*run_checked(before, "drop-noop-reshapes").graph), "Relu");
}

TEST(DropNoopReshapes, MergesARowOfThem) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {Dim::named("N"), 3, 4, 1});
    Value* s = b.node("s", "Squeeze", {x, b.ints("axes", {3})});
    Value* u = b.node("u", "Unsqueeze", {s, b.ints("more", {1})});
    b.output(b.node("y", "Flatten", {u}));
  });
  const Model model = run_checked(before, "drop-noop-reshapes");
  EXPECT_EQ(ops_of(*model.graph), "Reshape");
  EXPECT_EQ(to_int64s(*model.graph->last_node()->input(1)->constant()),
            (std::vector<int64_t>{-1, 12}));
}

TEST(DropNoopReshapes, MergesZerosIntoWhatTheyCopy) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {2, 3, 4});
    Value* r = b.node("r", "Reshape", {x, b.ints("one", {6, 2, 2})});
    b.output(b.node("y", "Reshape", {r, b.ints("two", {0, 4})}));
  });
  const Model model = run_checked(before, "drop-noop-reshapes");
  EXPECT_EQ(ops_of(*model.graph), "Reshape");
}

TEST(DropNoopReshapes, LeavesUnknownShapesAndSharedValues) {
  expect_untouched(make_model([](GraphBuilder& b) {
                     Value* x = b.input("x", {Dim::named("N"), Dim::named("T"), 4});
                     b.output(b.node("y", "Reshape", {x, b.ints("target", {-1, 2, 4})}));
                   }),
                   "drop-noop-reshapes");
  expect_untouched(
      make_model([](GraphBuilder& b) {
        Value* r = b.node("r", "Reshape", {b.input("x", {2, 6}), b.ints("one", {3, 4})});
        b.output(b.node("y", "Relu", {r}));
        b.output(b.node("z", "Reshape", {r, b.ints("two", {12})}));
      }),
      "drop-noop-reshapes");
}

TEST(DropNoopReshapes, WorksInNestedGraphs) {
  const Model before = make_nested_model({2, 3}, [](GraphBuilder& b, Value* x) {
    Value* r = b.node("r", "Reshape", {x, b.ints("target", {2, 3})});
    b.output(b.node("a", "Relu", {r}));
  });
  const Model model = run_checked(before, "drop-noop-reshapes");
  EXPECT_EQ(ops_of(*model.graph->last_node()->graph_attribute("then_branch")), "Relu");
}

}  // namespace
}  // namespace dwindle::testing
