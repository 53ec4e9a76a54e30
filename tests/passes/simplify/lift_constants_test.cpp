#include <gtest/gtest.h>

#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

TEST(LiftConstants, MakesInitializers) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {2});
    Value* a = b.node("a", "Constant", {}, {{"value_float", 2.0f}});
    Value* c = b.node("c", "Constant", {}, {{"value_floats", std::vector<float>{1, 2}}});
    Value* d = b.node("d", "Constant", {}, {{"value", Tensor::scalar(3.0f)}});
    b.output(b.node("y", "Sum", {x, a, c, d}));
  });
  const Model after = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {2});
    Value* a = b.floats("a", {}, {2});
    Value* c = b.floats("c", {2}, {1, 2});
    Value* d = b.floats("d", {}, {3});
    b.output(b.node("y", "Sum", {x, a, c, d}));
  });
  expect_pass(before, "lift-constants", after);
}

TEST(LiftConstants, LeavesAGraphOutput) {
  expect_untouched(make_model([](GraphBuilder& b) {
                     b.output(b.node("y", "Neg", {b.input("x", {2})}));
                     b.output(b.node("c", "Constant", {}, {{"value_int", int64_t{1}}}));
                   }),
                   "lift-constants");
}

TEST(LiftConstants, WorksInNestedGraphs) {
  auto model = [](bool lifted) {
    return make_nested_model({2}, [&](GraphBuilder& b, Value* x) {
      Value* k =
          lifted ? b.floats("k", {}, {2}) : b.node("k", "Constant", {}, {{"value_float", 2.0f}});
      b.output(b.node("a", "Add", {x, k}));
    });
  };
  expect_pass(model(false), "lift-constants", model(true));
}

}  // namespace
}  // namespace dwindle::testing
