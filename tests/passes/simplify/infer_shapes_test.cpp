#include <gtest/gtest.h>

#include "passes/registry.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

TEST(InferShapes, DeclaresIntermediateValues) {
  Model model = make_nested_model({Dim::named("N"), 3}, [](GraphBuilder& b, Value* x) {
    b.output(b.node("s", "Neg", {b.node("r", "Relu", {x})}));
  });
  passes::PassContext context;
  EXPECT_TRUE(passes::make_pass("infer-shapes")->run(model, context).changed);
  const Graph* branch = model.graph->last_node()->graph_attribute("then_branch");
  EXPECT_EQ(to_string(branch->find("r")->type), "float32[N,3]");
  EXPECT_TRUE(branch->find("r")->declared);
  EXPECT_FALSE(passes::make_pass("infer-shapes")->run(model, context).changed);
}

}  // namespace
}  // namespace dwindle::testing
