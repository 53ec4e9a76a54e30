// The recipe of simplify as a whole: on random graphs, on long ones, and on trained models.
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "core/ir/print.h"
#include "core/onnx/onnx.h"
#include "core/runtime/same_outputs.h"
#include "passes/pipeline.h"
#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

std::vector<passes::PassReport> simplify(Model& model) {
  passes::PassContext context;
  return passes::run_recipe(model, passes::simplify_recipe(), context);
}

// Draws graphs of the ops that the passes rewrite, on values of shape [2, 4, 6, 6], [2, 4] and
// such.
class RandomGraph {
 public:
  explicit RandomGraph(unsigned seed) : random_(seed) {}

  Model make() {
    return make_model([&](GraphBuilder& b) {
      builder_ = &b;
      values_ = {{b.input("x", {Dim::named("N"), 4, 6, 6}), {2, 4, 6, 6}}};
      const int count = pick(4, 14);
      for (int i = 0; i < count; ++i) add(any());
      b.output(b.node("y", "Identity", {values_.back().first}));
      for (int i = pick(0, 2); i > 0; --i) {
        const auto& [value, dims] = any();
        if (value->producer() != nullptr && !value->is_graph_output()) b.output(value);
      }
    });
  }

 private:
  using Entry = std::pair<Value*, Dims>;

  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  // Mostly recent values, so that chains form.
  Entry any() {
    const int last = static_cast<int>(values_.size()) - 1;
    return values_[static_cast<size_t>(pick(0, 3) > 0 ? last : pick(0, last))];
  }
  std::string name() { return "v" + std::to_string(next_++); }
  Value* ramp(Dims dims) {
    return builder_->ramp(name(), std::move(dims), static_cast<float>(pick(-4, 4)) / 4, 0.0625f);
  }
  void keep(Value* value, Dims dims) { values_.emplace_back(value, std::move(dims)); }
  Value* node(const char* op, const std::vector<Value*>& inputs,
              const AttributeArguments& attributes = {}) {
    return builder_->node(name(), op, inputs, attributes);
  }

  void add(const Entry& entry) {
    const auto& [x, dims] = entry;
    const int64_t channels = dims[1];
    switch (pick(0, 15)) {
      case 0:
        return keep(node("Identity", {x}), dims);
      case 1:
        return keep(node("Relu", {x}), dims);
      case 2:
        return keep(node("Clip", {x, ramp({}), builder_->floats(name(), {}, {2})}), dims);
      case 3:
        return keep(node(pick(0, 1) ? "Add" : "Mul", {x, ramp(per_channel(dims))}), dims);
      case 4: {
        const float neutral = static_cast<float>(pick(0, 1));
        return keep(
            node(neutral != 0 ? "Mul" : "Add", {x, builder_->floats(name(), {}, {neutral})}), dims);
      }
      case 5:
        return keep(
            node("BatchNormalization", {x, ramp({channels}), ramp({channels}), ramp({channels}),
                                        builder_->ramp(name(), {channels}, 1, 0.5f)}),
            dims);
      case 6:
        return keep(node("Reshape", {x, node("Shape", {x})}), dims);
      case 7:
        return keep(node("Cast", {node("Cast", {x}, {{"to", int64_t{11}}})}, {{"to", int64_t{1}}}),
                    dims);
      case 8: {
        const auto& [other, other_dims] = any();
        if (other_dims != dims) return;
        return keep(node("Add", {x, other}), dims);
      }
      case 9:
        return keep(node("Dropout", {x}), dims);
      default:
        return dims.size() == 4 ? add_spatial(entry) : add_matrix(entry);
    }
  }

  static Dims per_channel(const Dims& dims) {
    return dims.size() == 4 ? Dims{1, dims[1], 1, 1} : Dims{dims[1]};
  }

  void add_spatial(const Entry& entry) {
    const auto& [x, dims] = entry;
    const int64_t channels = dims[1];
    using Integers = std::vector<int64_t>;
    switch (pick(0, 5)) {
      case 0: {
        const bool depthwise = pick(0, 1) == 1;
        const int64_t filters = depthwise ? channels : pick(1, 5);
        std::vector<Value*> inputs = {x, ramp({filters, depthwise ? 1 : channels, 1, 1})};
        if (pick(0, 1)) inputs.push_back(ramp({filters}));
        return keep(node("Conv", inputs, {{"group", depthwise ? channels : 1}}),
                    {dims[0], filters, dims[2], dims[3]});
      }
      case 1: {
        Value* p = node("Pad", {x, builder_->ints(name(), {0, 0, 1, 1, 0, 0, 1, 1})});
        return keep(node("Conv", {p, ramp({channels, channels, 3, 3})}), dims);
      }
      case 2: {
        Value* p = node("Pad", {x, builder_->ints(name(), {0, 0, 1, 1, 0, 0, 1, 1})});
        return keep(
            node(pick(0, 1) ? "MaxPool" : "AveragePool", {p}, {{"kernel_shape", Integers{3, 3}}}),
            dims);
      }
      case 3: {
        Value* t = node("Transpose", {x}, {{"perm", Integers{0, 2, 3, 1}}});
        return keep(node("Transpose", {t}, {{"perm", Integers{0, 3, 1, 2}}}), dims);
      }
      case 4:
        return keep(
            node("Slice", {x, builder_->ints(name(), {0}), builder_->ints(name(), {INT64_MAX}),
                           builder_->ints(name(), {pick(0, 3)})}),
            dims);
      default: {
        Value* g = node("GlobalAveragePool", {x});
        return keep(pick(0, 1) ? node("Flatten", {g})
                               : node("Squeeze", {g, builder_->ints(name(), {2, 3})}),
                    {dims[0], channels});
      }
    }
  }

  void add_matrix(const Entry& entry) {
    const auto& [x, dims] = entry;
    const int64_t columns = pick(2, 6);
    if (pick(0, 1)) {
      Value* m = node("MatMul", {x, ramp({dims[1], columns})});
      return keep(node("Add", {m, ramp({columns})}), {dims[0], columns});
    }
    return keep(
        node("Gemm", {x, ramp({columns, dims[1]}), ramp({columns})}, {{"transB", int64_t{1}}}),
        {dims[0], columns});
  }

  std::mt19937 random_;
  GraphBuilder* builder_ = nullptr;
  std::vector<Entry> values_;
  int next_ = 0;
};

TEST(Simplify, KeepsTheOutputsOfRandomGraphs) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    const Model before = RandomGraph(seed).make();
    Model model = before.clone();
    simplify(model);
    const SameOutputs same = same_outputs(before, model, {.runs = 1});
    ASSERT_TRUE(same.same) << "seed " << seed << ": " << same.summary() << "\n"
                           << to_text(before) << to_text(model);
    ASSERT_LE(model.graph->num_nodes(), before.graph->num_nodes()) << "seed " << seed;
  }
}

TEST(Simplify, TakesLongChains) {
  Model model = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {Dim::named("N"), 4});
    for (int i = 0; i < 20000; ++i) {
      const std::string name = "v" + std::to_string(i);
      x = i % 2 == 0 ? b.node(name, "Add", {x, b.floats(name + "k", {1}, {i % 8 * 1.0f})})
                     : b.node(name, "Identity", {x});
    }
    b.output(x);
  });
  simplify(model);
  EXPECT_EQ(model.graph->num_nodes(), 7500u);
  EXPECT_EQ(model.graph->initializers().size(), 3u);
}

std::vector<std::filesystem::path> trained_models() {
  std::vector<std::filesystem::path> paths;
  const std::filesystem::path folder = std::filesystem::path(DWINDLE_SHARED) / "models";
  if (!std::filesystem::exists(folder)) return paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".onnx") paths.push_back(entry.path());
  }
  return paths;
}

TEST(Simplify, KeepsTheOutputsOfTrainedModels) {
  const auto paths = trained_models();
  if (paths.empty()) GTEST_SKIP() << "no trained models beside the project";
  for (const auto& path : paths) {
    SCOPED_TRACE(path.filename().string());
    const Model before = load_model(path);
    Model model = load_model(path);
    simplify(model);
    const SameOutputs same = same_outputs(before, model, {.runs = 1});
    EXPECT_TRUE(same.same) << same.summary();
    EXPECT_LE(model.graph->num_nodes(), before.graph->num_nodes());
    // What is left to do after the recipe is nothing.
    for (const auto& report : simplify(model)) EXPECT_FALSE(report.result.changed) << report.pass;
    for (const Node* node : model.graph->nodes()) {
      EXPECT_NE(node->op_type, "BatchNormalization");
      EXPECT_NE(node->op_type, "Pad");
      EXPECT_NE(node->op_type, "Shape");
    }
  }
}

}  // namespace
}  // namespace dwindle::testing
