#include <gtest/gtest.h>

#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

TEST(DropIdentities, DropsIdentityAndDropout) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* i = b.node("i", "Identity", {b.input("x", {2, 3})});
    Value* d = b.nodes({"d", "mask"}, "Dropout", {i})[0];
    b.output(b.node("y", "Relu", {d}));
  });
  const Model after = make_model([](GraphBuilder& b) {
    b.output(b.node("y", "Relu", {b.input("x", {2, 3})}));
  });
  expect_pass(before, "drop-identities", after);
}

TEST(DropIdentities, KeepsTheNameOfTheOutput) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* r = b.node("r", "Relu", {b.input("x", {2, 3})});
    b.output(b.node("y", "Identity", {r}));
  });
  const Model after = make_model([](GraphBuilder& b) {
    b.output(b.node("y", "Relu", {b.input("x", {2, 3})}));
  });
  expect_pass(before, "drop-identities", after);
}

TEST(DropIdentities, LeavesTwoNamesForOneValue) {
  expect_untouched(make_model([](GraphBuilder& b) {
                     Value* r = b.node("r", "Relu", {b.input("x", {2, 3})});
                     b.output(r);
                     b.output(b.node("y", "Identity", {r}));
                   }),
                   "drop-identities");
  expect_untouched(make_model([](GraphBuilder& b) {
                     b.output(b.node("y", "Identity", {b.input("x", {2, 3})}));
                   }),
                   "drop-identities");
}

TEST(DropIdentities, LeavesAMaskThatIsRead) {
  expect_untouched(make_model([](GraphBuilder& b) {
                     const auto d = b.nodes({"d", "mask"}, "Dropout", {b.input("x", {2, 3})});
                     b.output(b.node("y", "Relu", {d[0]}));
                     b.output(b.node("z", "Not", {d[1]}));
                   }),
                   "drop-identities");
}

TEST(DropIdentities, WorksInNestedGraphs) {
  const Model before = make_nested_model({2, 3}, [](GraphBuilder& b, Value* x) {
    b.output(b.node("r", "Relu", {b.node("i", "Identity", {x})}));
  });
  const Model after = make_nested_model(
      {2, 3}, [](GraphBuilder& b, Value* x) { b.output(b.node("r", "Relu", {x})); });
  expect_pass(before, "drop-identities", after);
}

// The output of a nested graph must be made there.
TEST(DropIdentities, LeavesAnOuterValueAsNestedOutput) {
  expect_untouched(
      make_nested_model({2, 3},
                        [](GraphBuilder& b, Value* x) { b.output(b.node("i", "Identity", {x})); }),
      "drop-identities");
}

}  // namespace
}  // namespace dwindle::testing
