#include "core/support/interrupt.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "core/runtime/float_executor.h"
#include "core/runtime/same_outputs.h"
#include "core/support/error.h"
#include "tests/support/graph_builder.h"

namespace dwindle {
namespace {

using testing::GraphBuilder;
using testing::make_model;

// The check of all tests here: it stops the work at its hundredth call.
int g_calls = 0;
void stop_in_time() {
  if (++g_calls == 100) throw Interrupted();
}

class InterruptTest : public ::testing::Test {
 protected:
  void SetUp() override { g_calls = 0; }
  InterruptScope scope_{stop_in_time};
};

// A Loop that nothing ends; its body has as many nodes as asked for.
Model endless_loop(int nodes) {
  return make_model([&](GraphBuilder& b) {
    Value* x = b.input("x", {1});
    Value* trips = b.constant("trips", Tensor::scalar(INT64_MAX));
    Value* y = b.node("y", "Loop", {trips, nullptr, x});
    GraphBuilder body = b.nested("body");
    body.input("i", {}, DType::kInt64);
    Value* going = body.input("going", {}, DType::kBool);
    Value* state = body.input("state", {1});
    for (int i = 0; i < nodes; ++i) state = body.node("s" + std::to_string(i), "Neg", {state});
    body.output(going);
    body.output(state);
    b.output(y);
  });
}

TEST_F(InterruptTest, EndsEndlessLoops) {
  for (int nodes : {0, 2}) {
    g_calls = 0;
    const Model model = endless_loop(nodes);
    FloatExecutor executor(model);
    EXPECT_THROW(executor.run({{"x", Tensor::of<float>({1}, {1})}}), Interrupted);
  }
}

// Which must not take it for a model that does not run, and go on.
TEST_F(InterruptTest, EndsTheProof) {
  const Model model = endless_loop(1);
  EXPECT_THROW(same_outputs(model, model), Interrupted);
}

TEST_F(InterruptTest, ScopesNest) {
  {
    InterruptScope inner([] { throw std::runtime_error("inner"); });
    EXPECT_THROW(check_interrupted(), std::runtime_error);
  }
  for (int i = 1; i < 100; ++i) EXPECT_NO_THROW(check_interrupted());
  EXPECT_THROW(check_interrupted(), Interrupted);
}

}  // namespace
}  // namespace dwindle
