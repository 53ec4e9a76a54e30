#include <gtest/gtest.h>

#include <ostream>

#include "core/ops/infer.h"
#include "passes/registry.h"
#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

// Of `channels` channels: scale 2, 3, …, variance 4, so that small numbers stay exact.
Value* batch_norm(GraphBuilder& b, const std::string& name, Value* x, int64_t channels,
                  bool shifts = true) {
  Value* scale = b.ramp(name + "_scale", {channels}, 2, 1);
  Value* bias = b.ramp(name + "_bias", {channels}, shifts ? 1 : 0, shifts ? 0.5f : 0);
  Value* mean = b.ramp(name + "_mean", {channels}, 0, shifts ? 1 : 0);
  Value* variance = b.ramp(name + "_variance", {channels}, 4, 0);
  return b.node(name, "BatchNormalization", {x, scale, bias, mean, variance}, {{"epsilon", 0.0f}});
}

void drop_dead(Model& model) {
  passes::PassContext context;
  passes::make_pass("drop-dead-code")->run(model, context);
}

TEST(FoldBatchNorm, FoldsIntoConvBefore) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {Dim::named("N"), 1, 4, 4});
    Value* w = b.floats("w", {2, 1, 1, 1}, {1, 2});
    Value* c = b.node("c", "Conv", {x, w}, {{"pads", std::vector<int64_t>{1, 1, 1, 1}}});
    b.output(batch_norm(b, "y", c, 2));
  });
  Model model = run_checked(before, "fold-batch-norm");
  drop_dead(model);
  const Model after = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {Dim::named("N"), 1, 4, 4});
    Value* w = b.floats("w", {2, 1, 1, 1}, {1, 3});               // · 2/2, · 3/2
    Value* bias = b.floats("w_bias", {2}, {1, 1.5f - 1 * 1.5f});  // bias - mean · scale
    b.output(b.node("y", "Conv", {x, w, bias}, {{"pads", std::vector<int64_t>{1, 1, 1, 1}}}));
  });
  infer_shapes(const_cast<Model&>(after));
  EXPECT_EQ(canonical_text(model), canonical_text(after));
}

struct LayerCase {
  const char* name;
  const char* op;
  Shape input;
  Dims weights;
  int64_t channels;
  AttributeArguments attributes;
  bool bias = true;
};

void PrintTo(const LayerCase& layer, std::ostream* out) { *out << layer.name; }

class FoldBatchNormAfter : public ::testing::TestWithParam<LayerCase> {};

TEST_P(FoldBatchNormAfter, Folds) {
  const LayerCase& layer = GetParam();
  const Model before = make_model([&](GraphBuilder& b) {
    std::vector<Value*> inputs = {b.input("x", layer.input), b.ramp("w", layer.weights)};
    if (layer.bias) inputs.push_back(b.ramp("b", {layer.channels}));
    b.output(batch_norm(b, "y", b.node("c", layer.op, inputs, layer.attributes), layer.channels));
  });
  const Model model = run_checked(before, "fold-batch-norm");
  EXPECT_EQ(model.graph->num_nodes(), 1u);
}

const Shape kImage = {Dim::named("N"), 4, 5, 6};
const Shape kRow = {Dim::named("N"), 4};

INSTANTIATE_TEST_SUITE_P(
    Layers, FoldBatchNormAfter,
    ::testing::Values(
        LayerCase{"conv", "Conv", kImage, {6, 4, 3, 3}, 6, {}},
        LayerCase{
            "same", "Conv", kImage, {6, 4, 3, 3}, 6, {{"auto_pad", std::string("SAME_UPPER")}}},
        LayerCase{"groups", "Conv", kImage, {6, 2, 3, 3}, 6, {{"group", int64_t{2}}}},
        LayerCase{"depthwise", "Conv", kImage, {4, 1, 3, 3}, 4, {{"group", int64_t{4}}}, false},
        LayerCase{"row", "Conv", {2, 4, 9}, {3, 4, 3}, 3, {}},
        LayerCase{"transpose", "ConvTranspose", kImage, {4, 3, 2, 2}, 3, {}},
        LayerCase{
            "transpose_groups", "ConvTranspose", kImage, {4, 3, 2, 2}, 6, {{"group", int64_t{2}}}},
        LayerCase{"gemm", "Gemm", kRow, {4, 3}, 3, {}},
        LayerCase{"gemm_trans",
                  "Gemm",
                  kRow,
                  {3, 4},
                  3,
                  {{"transB", int64_t{1}}, {"alpha", 0.5f}, {"beta", 2.0f}}},
        LayerCase{"gemm_bare", "Gemm", kRow, {4, 3}, 3, {{"beta", 2.0f}}, false},
        LayerCase{"matmul", "MatMul", kRow, {4, 3}, 3, {}, false}),
    [](const auto& info) { return info.param.name; });

class FoldBatchNormBefore : public ::testing::TestWithParam<LayerCase> {};

TEST_P(FoldBatchNormBefore, Folds) {
  const LayerCase& layer = GetParam();
  const Model before = make_model([&](GraphBuilder& b) {
    Value* x = b.input("x", layer.input);
    std::vector<Value*> inputs = {batch_norm(b, "n", x, 4), b.ramp("w", layer.weights)};
    if (layer.bias) inputs.push_back(b.ramp("b", {layer.channels}));
    b.output(b.node("y", layer.op, inputs, layer.attributes));
  });
  const Model model = run_checked(before, "fold-batch-norm");
  EXPECT_EQ(model.graph->num_nodes(), 1u);
}

INSTANTIATE_TEST_SUITE_P(
    Layers, FoldBatchNormBefore,
    ::testing::Values(
        LayerCase{"conv", "Conv", kImage, {6, 4, 3, 3}, 6, {}, false},
        LayerCase{"groups", "Conv", kImage, {6, 2, 3, 3}, 6, {{"group", int64_t{2}}}},
        LayerCase{"valid", "Conv", kImage, {6, 4, 3, 3}, 6, {{"auto_pad", std::string("VALID")}}},
        LayerCase{"gemm",
                  "Gemm",
                  kRow,
                  {3, 4},
                  3,
                  {{"transB", int64_t{1}}, {"alpha", 0.5f}, {"beta", 2.0f}}},
        LayerCase{"matmul", "MatMul", kRow, {4, 3}, 3, {}, false}),
    [](const auto& info) { return info.param.name; });

TEST(FoldBatchNorm, FoldsBeforeAFlattenedGemm) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {Dim::named("N"), 4, 2, 3});
    Value* flat = b.node("flat", "Flatten", {batch_norm(b, "n", x, 4)});
    b.output(b.node("y", "Gemm", {flat, b.ramp("w", {24, 3}), b.ramp("b", {3})}));
  });
  EXPECT_EQ(ops_of(*run_checked(before, "fold-batch-norm").graph), "Flatten Gemm");
}

TEST(FoldBatchNorm, LeavesAShiftBeforePadding) {
  expect_untouched(make_model([](GraphBuilder& b) {
                     Value* n = batch_norm(b, "n", b.input("x", kImage), 4);
                     b.output(b.node("y", "Conv", {n, b.ramp("w", {2, 4, 3, 3})},
                                     {{"pads", std::vector<int64_t>{1, 1, 1, 1}}}));
                   }),
                   "fold-batch-norm");
}

TEST(FoldBatchNorm, FoldsAScaleBeforePadding) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* n = batch_norm(b, "n", b.input("x", kImage), 4, /*shifts=*/false);
    b.output(b.node("y", "Conv", {n, b.ramp("w", {2, 4, 3, 3})},
                    {{"pads", std::vector<int64_t>{1, 1, 1, 1}}}));
  });
  EXPECT_EQ(ops_of(*run_checked(before, "fold-batch-norm").graph), "Conv");
}

TEST(FoldBatchNorm, LeavesSharedValuesAndWeights) {
  expect_untouched(
      make_model([](GraphBuilder& b) {
        Value* c = b.node("c", "Conv", {b.input("x", kImage), b.ramp("w", {4, 4, 1, 1})});
        b.output(batch_norm(b, "y", c, 4));
        b.output(b.node("z", "Relu", {c}));
      }),
      "fold-batch-norm");
  expect_untouched(make_model([](GraphBuilder& b) {
                     Value *x = b.input("x", kImage), *w = b.ramp("w", {4, 4, 1, 1});
                     b.output(batch_norm(b, "y", b.node("c", "Conv", {x, w}), 4));
                     b.output(b.node("z", "Conv", {x, w}));
                   }),
                   "fold-batch-norm");
}

TEST(FoldBatchNorm, LeavesAGraphOutputBetween) {
  expect_untouched(
      make_model([](GraphBuilder& b) {
        Value* c = b.node("c", "Conv", {b.input("x", kImage), b.ramp("w", {4, 4, 1, 1})});
        b.output(c);
        b.output(batch_norm(b, "y", c, 4));
      }),
      "fold-batch-norm");
}

TEST(FoldBatchNorm, LeavesChannelsOffTheLastAxisOfMatMul) {
  expect_untouched(make_model([](GraphBuilder& b) {
                     Value* x = b.input("x", {2, 3, 4});
                     Value* m = b.node("m", "MatMul", {x, b.ramp("w", {4, 3})});
                     b.output(batch_norm(b, "y", m, 3));
                   }),
                   "fold-batch-norm");
}

TEST(FoldBatchNorm, FoldsInNestedGraphs) {
  const Model before = make_nested_model({2, 4, 3, 3}, [](GraphBuilder& b, Value* x) {
    Value* c = b.node("c", "Conv", {x, b.ramp("w", {4, 4, 1, 1})});
    b.output(batch_norm(b, "n", c, 4));
  });
  const Model model = run_checked(before, "fold-batch-norm");
  const Graph* branch = model.graph->last_node()->graph_attribute("then_branch");
  EXPECT_EQ(ops_of(*branch), "Conv");
}

}  // namespace
}  // namespace dwindle::testing
