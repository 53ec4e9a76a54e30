#include "core/runtime/fallback_executor.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/support/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

// Shows `number` for every value that is watched and is blind to those of nested graphs.
class Other : public Executor {
 public:
  TensorMap run(const TensorMap&) override {
    for (const Value* value : watched_) watcher_(*value, Tensor::of<float>({1}, {2}));
    return {{"y", Tensor::of<float>({1}, {2})}};
  }
  void watch(const std::vector<const Value*>& values, Watcher watcher) override {
    watched_ = values;
    watcher_ = std::move(watcher);
  }
  std::string blind_to(const Value&) const override { return "blind"; }

 private:
  std::vector<const Value*> watched_;
  Watcher watcher_;
};

struct Seen {
  std::vector<std::string> values;
  Watcher watcher() {
    return [this](const Value& value, const Tensor& tensor) {
      values.push_back(value.name() + "=" +
                       std::to_string(static_cast<int>(*tensor.data<float>())));
    };
  }
};

TensorMap ones(Dims dims) {
  Tensor x = Tensor::allocate(DType::kFloat, std::move(dims));
  std::fill_n(x.mutable_data<float>(), x.size(), 1.0f);
  return {{"x", x}};
}

TEST(FallbackExecutor, stays_where_nothing_is_refused) {
  const Model model =
      make_model([](GraphBuilder& b) { b.output(b.node("y", "Neg", {b.input("x", {2})})); });
  FallbackExecutor executor(model, [](const Model&, const std::string&) {
    ADD_FAILURE() << "there is nothing to hand over";
    return std::make_unique<Other>();
  });
  EXPECT_EQ(*executor.run(ones({2})).at("y").data<float>(), -1);
  EXPECT_EQ(executor.blind_to(*model.graph->find("y")), "");
}

TEST(FallbackExecutor, hands_over_an_op_that_is_not_in_the_table) {
  const Model model =
      make_model([](GraphBuilder& b) { b.output(b.node("y", "NoSuchOp", {b.input("x", {2})})); });
  std::string said;
  FallbackExecutor executor(model, [&](const Model& given, const std::string& refused) {
    EXPECT_EQ(&given, &model);
    said = refused;
    return std::make_unique<Other>();
  });
  EXPECT_NE(said.find("NoSuchOp"), std::string::npos) << said;
  Seen seen;
  executor.watch({model.graph->find("y")}, seen.watcher());
  EXPECT_EQ(*executor.run(ones({2})).at("y").data<float>(), 2);
  EXPECT_EQ(seen.values, (std::vector<std::string>{"y=2"}));
  EXPECT_EQ(executor.blind_to(*model.graph->find("y")), "blind");
}

// A kernel that refuses only when it sees its input: a convolution over four axes.
Model refused_in_the_run() {
  return make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {1, 1, 1, 1, 1, 1});
    Value* r = b.node("r", "Neg", {x});
    b.output(b.node("y", "Conv", {r, b.ramp("w", {1, 1, 1, 1, 1, 1})}));
  });
}

TEST(FallbackExecutor, a_run_that_is_handed_over_shows_no_value_twice) {
  const Model model = refused_in_the_run();
  int handed_over = 0;
  FallbackExecutor executor(model, [&](const Model&, const std::string&) {
    ++handed_over;
    return std::make_unique<Other>();
  });
  Seen seen;
  executor.watch({model.graph->find("r"), model.graph->find("y")}, seen.watcher());
  EXPECT_EQ(handed_over, 0);
  executor.run(ones({1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(seen.values, (std::vector<std::string>{"r=-1", "y=2"}));
  seen.values.clear();
  executor.run(ones({1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(seen.values, (std::vector<std::string>{"r=2", "y=2"}));
  EXPECT_EQ(handed_over, 1);
}

TEST(FallbackExecutor, without_another_the_refusal_is_raised) {
  const Model model = refused_in_the_run();
  FallbackExecutor executor(
      model, [](const Model&, const std::string& refused) -> std::unique_ptr<Executor> {
        throw Unsupported(refused + "; and nothing else is there");
      });
  expect_error<Unsupported>("nothing else is there", [&] {
    executor.run(ones({1, 1, 1, 1, 1, 1}));
  });
}

}  // namespace
}  // namespace dwindle::testing
