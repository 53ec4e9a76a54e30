#include <gtest/gtest.h>

#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

enum class Carried { kNot, kAsItIs, kThroughIdentity, kSwapped };

// The state times W at every turn, where W is read from outside or carried along.
void add_loop(GraphBuilder& b, Value* x, Value* w, Carried carried) {
  const bool carries = carried != Carried::kNot;
  Value* turns = b.constant("turns", Tensor::scalar(int64_t{3}));
  std::vector<Value*> inputs = {turns, nullptr, x};
  std::vector<std::string> outputs = {"y"};
  if (carries) {
    inputs.insert(inputs.begin() + 2, w);  // in front: what stays moves up
    outputs.insert(outputs.begin(), "last_w");
  }
  Value* y = b.nodes(outputs, "Loop", inputs).back();
  GraphBuilder body = b.nested("body");
  body.input("i", {}, DType::kInt64);
  Value* going = body.input("going", {}, DType::kBool);
  Value* inner = carries ? body.input("inner_w", {2, 2}) : w;
  Value* state = body.input("state", {2, 2});
  Value* next = body.node("next", "MatMul", {state, inner});
  body.output(going);
  if (carried == Carried::kAsItIs) body.output(inner);
  if (carried == Carried::kThroughIdentity) body.output(body.node("same", "Identity", {inner}));
  if (carried == Carried::kSwapped) body.output(state);
  body.output(next);
  b.output(y);
}

Model model_of(Carried carried) {
  return make_model([&](GraphBuilder& b) {
    add_loop(b, b.input("x", {2, 2}), b.ramp("w", {2, 2}), carried);
  });
}

TEST(CaptureLoopInvariants, TheBodyReadsThemFromOutside) {
  expect_pass(model_of(Carried::kAsItIs), "capture-loop-invariants", model_of(Carried::kNot));
  const Model after = run_checked(model_of(Carried::kThroughIdentity), "capture-loop-invariants");
  EXPECT_EQ(after.graph->outputs()[0]->producer()->num_inputs(), 3u);
}

TEST(CaptureLoopInvariants, LeavesWhatChanges) {
  expect_untouched(model_of(Carried::kSwapped), "capture-loop-invariants");
  expect_untouched(model_of(Carried::kNot), "capture-loop-invariants");
}

// What the loop gives out is what it was given.
TEST(CaptureLoopInvariants, AnswersForTheLastValue) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* w = b.ramp("w", {2, 2});
    add_loop(b, b.input("x", {2, 2}), w, Carried::kAsItIs);
    b.output(b.node("twice", "Add", {b.graph().find("last_w"), w}));
    b.output(b.node("more", "Neg", {b.graph().find("last_w")}));
  });
  const Model after = run_checked(before, "capture-loop-invariants");
  EXPECT_EQ(after.graph->find("last_w"), nullptr);
  EXPECT_EQ(after.graph->find("more")->producer()->input(0)->name(), "w");
}

TEST(CaptureLoopInvariants, WorksInLoopsOfLoops) {
  const auto model = [](Carried carried) {
    return make_model([&](GraphBuilder& b) {
      Value* x = b.input("x", {2, 2});
      Value* w = b.ramp("w", {2, 2});
      Value* turns = b.constant("outer_turns", Tensor::scalar(int64_t{2}));
      Value* y = b.node("z", "Loop", {turns, nullptr, x});
      GraphBuilder body = b.nested("body");
      body.input("outer_i", {}, DType::kInt64);
      Value* going = body.input("outer_going", {}, DType::kBool);
      Value* state = body.input("outer_state", {2, 2});
      body.output(going);
      add_loop(body, state, w, carried);
      b.output(y);
    });
  };
  expect_pass(model(Carried::kAsItIs), "capture-loop-invariants", model(Carried::kNot));
}

}  // namespace
}  // namespace dwindle::testing
