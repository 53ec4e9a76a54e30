#include <gtest/gtest.h>

#include "core/ops/half.h"
#include "passes/registry.h"
#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

Tensor halves(Dims dims, float first, DType half) {
  Tensor tensor = Tensor::allocate(DType::kFloat, dims);
  float* data = tensor.mutable_data<float>();
  for (int64_t i = 0; i < tensor.size(); ++i) data[i] = first + 0.125f * static_cast<float>(i % 7);
  return float_to_half(tensor, half);
}

// y = x·w + Cast(x), in 16 bits.
Model half_model(DType half) {
  return make_model(
      [&](GraphBuilder& b) {
        Value* x = b.input("x", {2, 3}, half);
        Value* product = b.node("p", "MatMul", {x, b.constant("w", halves({3, 3}, -0.5f, half))});
        Value* cast = b.node("c", "Cast", {x}, {{"to", static_cast<int64_t>(half)}});
        b.output(b.node("y", "Add", {product, cast}));
      },
      22);
}

TEST(WidenHalves, ComputesInFloatBetweenCasts) {
  for (const DType half : {DType::kFloat16, DType::kBfloat16}) {
    Model model = half_model(half);
    passes::PassContext context;
    const auto result = passes::make_pass("widen-halves", {})->run(model, context);
    EXPECT_TRUE(result.changed);
    EXPECT_EQ(ops_of(*model.graph), "Cast MatMul Cast Add Cast");
    EXPECT_EQ(model.graph->inputs()[0]->type.dtype, half);
    EXPECT_EQ(model.graph->outputs()[0]->type.dtype, half);
    EXPECT_EQ(model.graph->outputs()[0]->name(), "y");
    EXPECT_EQ(model.graph->find("w")->type.dtype, DType::kFloat);
    EXPECT_EQ(model.graph->find("p")->type.dtype, DType::kFloat);
  }
}

TEST(WidenHalves, ReachesNestedGraphsAndOutputsThatNestedGraphsRead) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* condition = b.input("condition", {}, DType::kBool);
    Value* x = b.input("x", {2, 3}, DType::kFloat16);
    Value* out = b.node("out", "Mul", {x, b.constant("k", halves({1}, 2, DType::kFloat16))});
    b.output(out);
    Value* y = b.node("y", "If", {condition});
    for (const char* branch : {"then_branch", "else_branch"}) {
      GraphBuilder nested = b.nested(branch);
      const std::string name = branch;
      nested.output(
          nested.node(name + "_sum", "Add",
                      {out, nested.constant(name + "_k", halves({3}, 1, DType::kFloat16))}));
    }
    b.output(y);
  });
  const Model after = run_checked(before, "widen-halves");
  EXPECT_EQ(ops_of(*after.graph), "Cast Mul If Cast Cast");
  EXPECT_EQ(after.graph->outputs()[0]->type.dtype, DType::kFloat16);
}

TEST(WidenHalves, LeavesOtherModelsAlone) {
  expect_untouched(
      make_model([](GraphBuilder& b) { b.output(b.node("y", "Relu", {b.input("x", {2})})); }),
      "widen-halves");
  // The scales of a quantized model tell what its integers mean.
  expect_untouched(make_model(
                       [](GraphBuilder& b) {
                         Value* scale = b.constant("s", halves({}, 1, DType::kFloat16));
                         Value* x = b.input("x", {2}, DType::kInt8);
                         b.output(b.node("y", "DequantizeLinear", {x, scale}));
                       },
                       21),
                   "widen-halves");
}

}  // namespace
}  // namespace dwindle::testing
