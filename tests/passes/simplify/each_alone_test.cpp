// Every pass of simplify run alone on random graphs. Constants come from Constant nodes just before
// their first reader, as some exporters have it: in a recipe lift-constants hides those, and with
// them a pass that puts a node before the producer of one of its inputs.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "core/ir/print.h"
#include "core/ir/verify.h"
#include "core/ops/infer.h"
#include "core/runtime/same_outputs.h"
#include "passes/recipe.h"
#include "passes/registry.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

// Draws nodes over values of two types: matrices 2 × 4 and images 1 × 4 × 6 × 6.
class RandomGraph {
 public:
  explicit RandomGraph(unsigned seed) : random_(seed) {}

  Model make() {
    return make_model([&](GraphBuilder& b) {
      condition_ = b.input("condition", {}, DType::kBool);
      matrices_ = {b.input("x", {2, 4})};
      images_ = {b.input("i", {1, 4, 6, 6})};
      const int steps = 4 + below(12);
      for (int i = 0; i < steps; ++i) step(b, true);
      const std::vector<Value*> made[] = {matrices_, images_};
      for (const std::vector<Value*>& values : made) {
        for (Value* value : values) {
          const bool taken = value->is_graph_output() || value->is_graph_input();
          if (!taken && (value->uses().empty() || below(8) == 0)) b.output(value);
        }
      }
    });
  }

 private:
  int below(int count) { return static_cast<int>(random_() % static_cast<unsigned>(count)); }
  std::string fresh() { return "v" + std::to_string(++names_); }
  // Mostly the newest, so that rows of nodes come about.
  Value* pick(const std::vector<Value*>& values) {
    return below(3) > 0 ? values.back()
                        : values[static_cast<size_t>(below(static_cast<int>(values.size())))];
  }
  template <typename... Options>
  const char* one_of(Options... options) {
    const char* all[] = {options...};
    return all[below(sizeof...(options))];
  }

  Value* constant(GraphBuilder& b, Tensor tensor) {
    if (below(8) == 0) return b.constant(fresh(), std::move(tensor));
    return b.node(fresh(), "Constant", {}, {{"value", std::move(tensor)}});
  }
  Value* floats(GraphBuilder& b, const Dims& dims, float low = -1, float high = 1) {
    std::vector<float> values(static_cast<size_t>(element_count(dims)));
    for (float& value : values) value = low + (high - low) * static_cast<float>(below(64)) / 64;
    return constant(b, Tensor::of<float>(dims, values));
  }
  Value* filled(GraphBuilder& b, const Dims& dims, float value) {
    return floats(b, dims, value, value);
  }
  Value* ints(GraphBuilder& b, const std::vector<int64_t>& values) {
    return constant(b, Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values));
  }

  void step(GraphBuilder& b, bool nest) {
    if (nest && below(7) == 0) {
      matrices_.push_back(branch(b));
    } else if (below(2) == 0) {
      matrices_.push_back(matrix_step(b, pick(matrices_)));
    } else {
      images_.push_back(image_step(b, pick(images_)));
    }
  }

  Value* matrix_step(GraphBuilder& b, Value* x) {
    switch (below(12)) {
      case 0:
      case 1: {
        Value* product = b.node(fresh(), "MatMul", {x, floats(b, {4, 4})});
        Value* bias = floats(b, {4});
        return b.node(fresh(), "Add",
                      below(2) == 0 ? std::vector{product, bias} : std::vector{bias, product});
      }
      case 2:
        return b.node(fresh(), "Gemm", {x, floats(b, {4, 4}), floats(b, {4})});
      case 3:
        return b.node(fresh(), one_of("Add", "Sub", "Mul", "Div"), {x, floats(b, {4}, 1, 2)});
      case 4:
        return b.node(fresh(), one_of("Add", "Mul", "Sub"), {x, pick(matrices_)});
      case 5:
        return b.node(fresh(), "Mul", {x, filled(b, {1}, 1)});
      case 6: {
        Value* flat = b.node(fresh(), "Reshape", {x, ints(b, {4, 2})});
        return b.node(fresh(), "Reshape", {flat, ints(b, {2, 4})});
      }
      case 7: {
        Value* turned = b.node(fresh(), "Transpose", {x}, {{"perm", std::vector<int64_t>{1, 0}}});
        return b.node(fresh(), "Transpose", {turned}, {{"perm", std::vector<int64_t>{1, 0}}});
      }
      case 8:
        return batch_norm(b, x);
      case 9: {
        Value* longer = b.node(fresh(), "Unsqueeze", {x, ints(b, {0})});
        return b.node(fresh(), "Squeeze", {longer, ints(b, {0})});
      }
      case 10:
        return folded(b, x);
      default:
        return any_step(b, x);
    }
  }

  Value* image_step(GraphBuilder& b, Value* x) {
    const std::vector<int64_t> ones{1, 1, 1, 1}, square{3, 3};
    switch (below(8)) {
      case 0:
      case 1:
        return b.node(fresh(), "Conv", {padded(b, x, 0), floats(b, {4, 4, 3, 3}), floats(b, {4})},
                      {{"kernel_shape", square}});
      case 2:
        return b.node(fresh(), "ConvTranspose", {x, floats(b, {4, 4, 3, 3})},
                      {{"kernel_shape", square}, {"pads", ones}});
      case 3:
        return b.node(fresh(), one_of("MaxPool", "AveragePool"),
                      {padded(b, b.node(fresh(), "Relu", {x}), 0)}, {{"kernel_shape", square}});
      case 4:
        return batch_norm(b, x);
      case 5:
        return b.node(fresh(), one_of("Add", "Sub", "Mul", "Div"), {x, floats(b, {4, 1, 1}, 1, 2)});
      case 6:
        return b.node(fresh(), "Add", {x, pick(images_)});
      default:
        return any_step(b, x);
    }
  }

  Value* any_step(GraphBuilder& b, Value* x) {
    switch (below(6)) {
      case 0: {
        Value* low = constant(b, Tensor::scalar(0.0f - static_cast<float>(below(3)) / 2));
        Value* high = constant(b, Tensor::scalar(6.0f));
        return b.node(fresh(), "Clip", {x, low, high});
      }
      case 1:
        return b.node(fresh(), "Cast", {x}, {{"to", int64_t{1}}});
      case 2:
        return b.node(fresh(), "Slice", {x, ints(b, {0}), ints(b, {INT64_MAX}), ints(b, {1})});
      case 3:
        return b.node(fresh(), "Identity", {x});
      case 4:
        return b.node(fresh(), "Reshape", {x, b.node(fresh(), "Shape", {x})});
      default:
        return b.node(fresh(), "Relu", {x});
    }
  }

  Value* padded(GraphBuilder& b, Value* x, float value) {
    Value* pads = ints(b, {0, 0, 1, 1, 0, 0, 1, 1});
    return b.node(fresh(), "Pad", {x, pads, constant(b, Tensor::scalar(value))});
  }
  Value* batch_norm(GraphBuilder& b, Value* x) {
    return b.node(fresh(), "BatchNormalization",
                  {x, floats(b, {4}), floats(b, {4}), floats(b, {4}), floats(b, {4}, 1, 2)});
  }
  // Arithmetic of constants, and an If that is known.
  Value* folded(GraphBuilder& b, Value* x) {
    if (below(2) == 0) {
      return b.node(fresh(), "Add", {x, b.node(fresh(), "Neg", {floats(b, {4})})});
    }
    Value* known = constant(b, Tensor::scalar(below(2) == 0));
    const auto outputs = b.nodes({fresh(), fresh()}, "If", {known});
    for (const char* name : {"then_branch", "else_branch"}) {
      GraphBuilder inner = b.nested(name);
      Value* sum = inner.node(fresh(), "Add", {x, floats(inner, {4})});
      inner.output(sum);
      inner.output(below(2) == 0 ? x : inner.node(fresh(), "Neg", {sum}));
    }
    if (below(2) == 0 && b.graph().parent() == nullptr) {
      for (Value* output : outputs) b.output(output);
    }
    return b.node(fresh(), "Add", outputs);
  }

  Value* branch(GraphBuilder& b) {
    Value* y = b.node(fresh(), "If", {condition_});
    for (const char* name : {"then_branch", "else_branch"}) {
      GraphBuilder inner = b.nested(name);
      const auto matrices = matrices_, images = images_;
      const int steps = 1 + below(5);
      for (int i = 0; i < steps; ++i) step(inner, false);
      Value* result = pick(matrices_);
      if (result->graph() != &inner.graph()) result = inner.node(fresh(), "Neg", {result});
      inner.output(result);
      matrices_ = matrices;
      images_ = images;
    }
    return y;
  }

  std::mt19937 random_;
  int names_ = 0;
  Value* condition_ = nullptr;
  std::vector<Value*> matrices_, images_;
};

class EachPassAlone : public ::testing::TestWithParam<std::string> {};

TEST_P(EachPassAlone, KeepsOrderAndMeaning) {
  int changes = 0;
  for (unsigned seed = 0; seed < 150 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Model before = RandomGraph(seed).make();
    infer_shapes(before);
    ASSERT_EQ(find_faults(before), std::vector<std::string>()) << to_text(before);
    Model after = before.clone();
    passes::PassContext context;
    const bool changed = passes::make_pass(GetParam(), {})->run(after, context).changed;
    changes += changed;
    for (const std::string& fault : find_faults(after)) ADD_FAILURE() << fault;
    if (!changed || HasFailure()) continue;
    const SameOutputs same = same_outputs(before, after);
    EXPECT_TRUE(same.same) << same.summary() << "\n" << to_text(before) << to_text(after);
  }
  // What the graphs above have nothing for.
  static const std::set<std::string> kIdle = {"capture-loop-invariants", "drop-weight-inputs",
                                              "inline-functions"};
  const bool idle = kIdle.contains(GetParam());
  EXPECT_EQ(changes > 0, !idle);
}

std::vector<std::string> simplify_passes() {
  std::set<std::string> names;
  for (const passes::Step& step : passes::simplify_recipe().steps) names.insert(step.pass);
  return {names.begin(), names.end()};
}

INSTANTIATE_TEST_SUITE_P(Simplify, EachPassAlone, ::testing::ValuesIn(simplify_passes()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace dwindle::testing
