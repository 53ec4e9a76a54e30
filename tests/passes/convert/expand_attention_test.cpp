#include <gtest/gtest.h>

#include "passes/quantize/quantize.h"
#include "passes/registry.h"
#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

constexpr const char* kPass = "expand-attention";

// Inputs %q, %k, %v of four axes, with 4 heads over `kv_heads`.
std::vector<Value*> inputs_with_heads(GraphBuilder& b, int64_t kv_heads = 4) {
  return {b.input("q", {2, 4, 3, 8}), b.input("k", {2, kv_heads, 5, 8}),
          b.input("v", {2, kv_heads, 5, 6})};
}

// `flat` ones of three axes, of unknown batch and lengths.
std::vector<Value*> flat_inputs(GraphBuilder& b, int64_t kv_heads = 4) {
  const Dim batch = Dim::named("batch"), length = Dim::named("length");
  return {b.input("q", {batch, length, 32}), b.input("k", {batch, length, kv_heads * 8}),
          b.input("v", {batch, length, kv_heads * 6})};
}

// What the pass says of a model that it leaves as it is.
std::string note_of(const Model& before) {
  Model model = before.clone();
  passes::PassContext context;
  const passes::PassResult result = passes::make_pass(kPass, {})->run(model, context);
  EXPECT_FALSE(result.changed);
  EXPECT_EQ(ops_of(*model.graph), ops_of(*before.graph));
  return result.notes.size() == 1 ? result.notes[0] : "";
}

TEST(ExpandAttention, WritesTwoProductsRoundASoftmax) {
  const Model before = make_model(
      [](GraphBuilder& b) {
        b.output(b.node("y", "Attention", inputs_with_heads(b), {{"scale", 0.25f}}));
      },
      23);
  Model after = make_model(
      [](GraphBuilder& b) {
        const auto in = inputs_with_heads(b);
        Value* scale = b.constant("y/scale", Tensor::scalar(0.25f));
        Value* q = b.node("y/queries_scaled", "Mul", {in[0], scale});
        Value* turned = b.node("y/keys_turned", "Transpose", {in[1]},
                               {{"perm", std::vector<int64_t>{0, 1, 3, 2}}});
        Value* scores = b.node("y/scores", "MatMul", {q, turned});
        Value* weights =
            b.node("y/softmax", "Softmax", {scores}, {{"axis", static_cast<int64_t>(-1)}});
        b.output(b.node("y", "MatMul", {weights, in[2]}));
      },
      23);
  for (Node* node : after.graph->nodes()) {
    node->name = node->output()->name() == "y" ? "y/output" : node->output()->name();
  }
  expect_pass(before, kPass, after);
}

TEST(ExpandAttention, NamesWhatItWritesAfterTheNode) {
  Model before = make_model(
      [](GraphBuilder& b) { b.output(b.node("y", "Attention", inputs_with_heads(b))); }, 23);
  (*before.graph->nodes().begin())->name = "attend";
  const Model after = run_checked(before, kPass);
  for (const Node* node : after.graph->nodes()) EXPECT_TRUE(node->name.starts_with("attend/"));
}

TEST(ExpandAttention, SplitsHeadsOffTheLastAxis) {
  const Model model = run_checked(
      make_model(
          [](GraphBuilder& b) {
            b.output(b.node("y", "Attention", flat_inputs(b),
                            {{"q_num_heads", int64_t{4}}, {"kv_num_heads", int64_t{4}}}));
          },
          23),
      kPass);
  EXPECT_EQ(ops_of(*model.graph),
            "Mul Reshape Transpose Reshape Transpose Reshape Transpose Transpose MatMul Softmax "
            "MatMul Transpose Reshape");
}

TEST(ExpandAttention, PutsQueriesThatShareKeysIntoOneMatrix) {
  const Model model = run_checked(
      make_model(
          [](GraphBuilder& b) { b.output(b.node("y", "Attention", inputs_with_heads(b, 2))); }, 23),
      kPass);
  EXPECT_EQ(ops_of(*model.graph), "Mul Transpose Reshape MatMul Softmax MatMul Reshape");
}

TEST(ExpandAttention, HidesKeysOfTheFuture) {
  for (const bool known : {false, true}) {
    const Model model = run_checked(
        make_model(
            [&](GraphBuilder& b) {
              const AttributeArguments heads = {{"q_num_heads", int64_t{4}},
                                                {"kv_num_heads", int64_t{2}},
                                                {"is_causal", int64_t{1}}};
              b.output(known ? b.node("y", "Attention", inputs_with_heads(b, 2), {heads[2]})
                             : b.node("y", "Attention", flat_inputs(b, 2), heads));
            },
            23),
        kPass);
    const std::string ops = ops_of(*model.graph);
    EXPECT_NE(ops.find("LessOrEqual Where Add Softmax"), std::string::npos) << ops;
    // Each query sees the first key, so no row is empty.
    EXPECT_EQ(ops.find("ReduceMax"), std::string::npos) << ops;
    EXPECT_EQ(ops.find("Shape") == std::string::npos, known) << ops;
  }
}

TEST(ExpandAttention, AddsAMaskAndKeepsEmptyRowsZero) {
  // Of constant masks it is known whether any row is empty.
  for (const bool empty : {false, true}) {
    const Model model = run_checked(make_model(
                                        [&](GraphBuilder& b) {
                                          auto in = inputs_with_heads(b);
                                          Tensor mask = Tensor::allocate(DType::kBool, {3, 5});
                                          for (int64_t i = 0; i < mask.size(); ++i) {
                                            mask.mutable_data<uint8_t>()[i] =
                                                i % 2 != 0 && (!empty || i < 10);
                                          }
                                          in.push_back(b.constant("mask", mask));
                                          b.output(b.node("y", "Attention", in));
                                        },
                                        23),
                                    kPass);
    EXPECT_EQ(ops_of(*model.graph),
              empty ? "Mul Transpose MatMul Where ReduceMax Greater Clip Add Softmax "
                      "MatMul Where"
                    : "Mul Transpose MatMul Where Add Softmax MatMul");
  }
}

TEST(ExpandAttention, HandsOutKeysValuesAndScores) {
  for (int64_t shown = 0; shown < 4; ++shown) {
    const std::vector<std::string> names = {"y", "present_key", "present_value", "scores"};
    const Model model = run_checked(
        make_model(
            [&](GraphBuilder& b) {
              const std::vector<Value*> in = {
                  b.input("q", {2, 3, 32}),          b.input("k", {2, 5, 16}),
                  b.input("v", {2, 5, 12}),          b.input("mask", {3, 7}),
                  b.input("past_key", {2, 2, 2, 8}), b.input("past_value", {2, 2, 2, 6})};
              for (Value* output : b.nodes(names, "Attention", in,
                                           {{"q_num_heads", int64_t{4}},
                                            {"kv_num_heads", int64_t{2}},
                                            {"softcap", 2.0f},
                                            {"qk_matmul_output_mode", shown}})) {
                b.output(output);
              }
            },
            23),
        kPass);
    EXPECT_EQ(ops_of(*model.graph).find("Attention"), std::string::npos);
    for (size_t i = 0; i < names.size(); ++i) {
      EXPECT_EQ(model.graph->outputs()[i]->name(), names[i]);
      EXPECT_EQ(model.graph->outputs()[i]->type.dtype, DType::kFloat);
    }
  }
}

TEST(ExpandAttention, HandsOutKeysThatItGets) {
  const Model model = run_checked(
      make_model(
          [](GraphBuilder& b) {
            for (Value* output : b.nodes({"y", "present_key"}, "Attention", inputs_with_heads(b))) {
              b.output(output);
            }
          },
          23),
      kPass);
  EXPECT_NE(ops_of(*model.graph).find("Identity"), std::string::npos);
}

TEST(ExpandAttention, ReachesNestedGraphs) {
  const Model model = run_checked(
      make_nested_model(
          {2, 4, 3, 8},
          [](GraphBuilder& b, Value* x) {
            b.output(b.node("inner", "Attention", {x, x, x}, {{"is_causal", int64_t{1}}}));
          },
          24),
      kPass);
  for (const Node* node : model.graph->nodes()) {
    if (!node->is("If")) continue;
    const std::string ops = ops_of(*node->graph_attribute("then_branch"));
    EXPECT_EQ(ops.find("Attention"), std::string::npos) << ops;
  }
}

TEST(ExpandAttention, SaysWhyANodeStays) {
  auto with = [](const AttributeArguments& attributes, Dims mask = {},
                 DType dtype = DType::kFloat) {
    return note_of(make_model(
        [&](GraphBuilder& b) {
          auto in = inputs_with_heads(b);
          if (!mask.empty()) in.push_back(b.input("mask", to_shape(mask), dtype));
          b.output(b.node("y", "Attention", in, attributes));
        },
        24));
  };
  EXPECT_EQ(with({{"scale", 0.0f}}), "Attention 'y' stays one op: its scale is not positive");
  EXPECT_NE(with({}, {3, 1}).find("only one column"), std::string::npos);
  EXPECT_NE(with({}, {3, 5}, DType::kInt64).find("int64"), std::string::npos);
  EXPECT_NE(note_of(make_model(
                        [](GraphBuilder& b) {
                          Value* x = b.input("x", {2, 4, 3, 8}, DType::kFloat16);
                          b.output(b.node("y", "Attention", {x, x, x}));
                        },
                        23))
                .find("'x' is float16, not float32"),
            std::string::npos);
}

TEST(ExpandAttention, LeavesOtherModelsAndExcludedNodesAlone) {
  expect_untouched(
      make_model([](GraphBuilder& b) { b.output(b.node("y", "Relu", {b.input("x", {2})})); }, 23),
      kPass);
  expect_untouched(
      make_model([](GraphBuilder& b) { b.output(b.node("y", "Attention", inputs_with_heads(b))); },
                 23),
      kPass, {{"exclude", std::vector<std::string>{"?"}}});
}

bool expands(const std::map<std::string, passes::OptionValue>& options) {
  for (const passes::Step& step : passes::quantize_recipe(options).steps) {
    if (step.pass == kPass) return true;
  }
  return false;
}

TEST(ExpandAttention, IsPartOfQuantizeWhereProductsAre) {
  using Strings = std::vector<std::string>;
  EXPECT_TRUE(expands({}));
  EXPECT_TRUE(expands({{"op-types", Strings{"Conv", "MatMul"}}}));
  EXPECT_TRUE(expands({{"op-types", Strings{"Attention"}}}));
  EXPECT_FALSE(expands({{"op-types", Strings{"Conv"}}}));
  EXPECT_FALSE(expands({{"activations", std::string("none")}}));
}

}  // namespace
}  // namespace dwindle::testing
