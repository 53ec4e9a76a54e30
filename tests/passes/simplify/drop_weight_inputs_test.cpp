#include <gtest/gtest.h>

#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

Model with_weight_input(int64_t ir_version) {
  Model model = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {2});
    Value* w = b.floats("w", {2}, {1, 2});
    b.graph().add_input(w);
    b.output(b.node("y", "Add", {x, w}));
  });
  model.ir_version = ir_version;
  return model;
}

TEST(DropWeightInputs, MakesConstantsInOldModels) {
  Model after = with_weight_input(4);
  after.graph->remove_input(1);
  expect_pass(with_weight_input(3), "drop-weight-inputs", after);
}

TEST(DropWeightInputs, LeavesDefaultsOfNewerModels) {
  expect_untouched(with_weight_input(4), "drop-weight-inputs");
  Model after = with_weight_input(4);
  after.graph->remove_input(1);
  expect_pass(with_weight_input(4), "drop-weight-inputs", after, {{"all", true}});
}

}  // namespace
}  // namespace dwindle::testing
