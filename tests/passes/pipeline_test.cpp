#include "passes/pipeline.h"

#include <gtest/gtest.h>

#include <sstream>

#include "core/support/error.h"
#include "core/support/interrupt.h"
#include "tests/support/graph_builder.h"

namespace dwindle::passes {
namespace {

Model two_identities() {
  return testing::make_model([](testing::GraphBuilder& b) {
    Value* i = b.node("i", "Identity", {b.input("x", {2})});
    b.output(b.node("y", "Relu", {i}));
  });
}

TEST(Pipeline, ReportsEachPassAndPrintsTheChanged) {
  Model model = two_identities();
  PassContext context;
  std::ostringstream printed;
  const auto reports = run_recipe(model, parse_recipe(R"(["merge-pad", "drop-identities"])"),
                                  context, {.verify = true, .print = &printed});
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_FALSE(reports[0].result.changed);
  EXPECT_TRUE(reports[1].result.changed);
  EXPECT_EQ(reports[1].result.counts.at("dropped"), 1);
  EXPECT_EQ(printed.str().find("merge-pad"), std::string::npos);
  EXPECT_NE(printed.str().find("# after drop-identities"), std::string::npos);
}

TEST(Pipeline, SaysWhatIsWrongThenInWhichPass) {
  Model model = testing::make_model([](testing::GraphBuilder& b) {
    Value* x = b.input("x", {2, 3});
    b.output(b.node("y", "Add", {x, b.floats("k", {4}, {1, 2, 3, 4})}));
    b.graph().last_node()->name = "sum";
  });
  PassContext context;
  try {
    run_recipe(model, parse_recipe(R"(["merge-pad", "drop-identities", "infer-shapes"])"), context);
    FAIL() << "no error";
  } catch (const BadModel& error) {
    const std::string what = error.what();
    EXPECT_EQ(what.find("Add node 'sum'"), 0u) << what;
    EXPECT_TRUE(what.ends_with(" (in pass 'infer-shapes', after 'drop-identities')")) << what;
  }
}

// Folding runs nodes, and takes their errors for nodes that cannot be folded: this is none.
TEST(Pipeline, StopsWhereItIsInterrupted) {
  Model model = testing::make_model([](testing::GraphBuilder& b) {
    Value* x = b.floats("x", {1}, {1});
    for (int i = 0; i < 200; ++i) x = b.node("v" + std::to_string(i), "Neg", {x});
    b.output(b.node("y", "Add", {x, b.input("in", {1})}));
  });
  static int calls = 0;
  InterruptScope scope([] {
    if (++calls == 100) throw Interrupted();
  });
  PassContext context;
  EXPECT_THROW(run_recipe(model, {{{"fold-constants", {}}}}, context), Interrupted);
}

TEST(Pipeline, ChecksAllOptionsBeforeTheFirstPass) {
  const Model before = two_identities();
  for (const Recipe& recipe : {Recipe{{{"drop-identities", {}}, {"merge-pad", {{"frob", true}}}}},
                               Recipe{{{"drop-identities", {}}, {"quantize-static", {}}}}}) {
    Model model = before.clone();
    PassContext context;
    try {
      run_recipe(model, recipe, context);
      ADD_FAILURE() << "no error";
    } catch (const BadOption& error) {
      EXPECT_EQ(std::string(error.what()).find("pass '" + recipe.steps[1].pass + "' "), 0u)
          << error.what();
    }
    EXPECT_EQ(model.graph->num_nodes(), before.graph->num_nodes());
  }
}

}  // namespace
}  // namespace dwindle::passes
