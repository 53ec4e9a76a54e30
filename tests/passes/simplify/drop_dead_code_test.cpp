#include <gtest/gtest.h>

#include "passes/registry.h"
#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

TEST(DropDeadCode, DropsChainsAndTheirConstants) {
  const Model before = make_model([](GraphBuilder& b) {
    Value *x = b.input("x", {2, 3}), *unused = b.input("unused", {1});
    b.node("b", "Add", {b.node("a", "Relu", {x}), b.floats("k", {}, {1})});
    b.node("c", "Relu", {unused});
    b.output(b.node("y", "Neg", {x}));
  });
  const Model after = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {2, 3});
    b.input("unused", {1});
    b.output(b.node("y", "Neg", {x}));
  });
  expect_pass(before, "drop-dead-code", after);
}

TEST(DropDeadCode, LeavesWhatIsNeeded) {
  expect_untouched(make_model([](GraphBuilder& b) {
                     Value* x = b.input("x", {2, 4});
                     // One output of two is enough.
                     const auto halves = b.nodes({"h", "i"}, "Split", {x}, {{"axis", int64_t{1}}});
                     b.output(b.node("y", "Neg", {halves[1]}));
                   }),
                   "drop-dead-code");
}

TEST(DropDeadCode, KeepsWhatNestedGraphsRead) {
  const Model before = make_model([](GraphBuilder& b) {
    Value *condition = b.input("condition", {}, DType::kBool), *x = b.input("x", {2});
    Value *read = b.node("read", "Relu", {x}), *freed = b.node("freed", "Abs", {x});
    Value* y = b.node("y", "If", {condition});
    GraphBuilder then_branch = b.nested("then_branch");
    then_branch.node("dead", "Neg", {freed});
    then_branch.output(then_branch.node("t", "Neg", {read}));
    GraphBuilder else_branch = b.nested("else_branch");
    else_branch.output(else_branch.node("e", "Abs", {x}));
    b.output(y);
  });
  const Model model = run_checked(before, "drop-dead-code");
  EXPECT_EQ(ops_of(*model.graph), "Relu If");
  EXPECT_EQ(ops_of(*model.graph->last_node()->graph_attribute("then_branch")), "Neg");
}

TEST(DropDeadCode, LeavesUnknownDomains) {
  Model model = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {2});
    b.node("a", "Print", {x});
    b.graph().last_node()->domain = "somewhere";
    b.output(b.node("y", "Neg", {x}));
  });
  model.opsets["somewhere"] = 1;
  passes::PassContext context;
  EXPECT_FALSE(passes::make_pass("drop-dead-code")->run(model, context).changed);
  EXPECT_EQ(model.graph->num_nodes(), 2u);
}

TEST(DropDeadCode, DropsFunctionsThatNobodyCalls) {
  Model model =
      make_model([](GraphBuilder& b) { b.output(b.node("y", "Neg", {b.input("x", {2})})); });
  Function function;
  function.domain = "local";
  function.name = "f";
  function.graph = std::make_unique<Graph>();
  model.functions.push_back(std::move(function));
  EXPECT_TRUE(run_checked(model, "drop-dead-code").functions.empty());
}

}  // namespace
}  // namespace dwindle::testing
