#include "passes/quantize/insert_qdq.h"

#include <gtest/gtest.h>

#include "core/ir/verify.h"
#include "core/ops/fake_quantize.h"
#include "core/quant/weights.h"
#include "core/runtime/float_executor.h"
#include "tests/support/graph_builder.h"
#include "tests/support/random_weights.h"

namespace dwindle::passes {
namespace {

using testing::GraphBuilder;
using testing::random_weights;

constexpr QuantParams kParams = {0.05f, 90};

size_t count(const Model& model, const std::string& op) {
  size_t found = 0;
  for_each_graph(*model.graph, [&](Graph& graph) {
    for (const Node* node : graph.nodes()) found += node->is(op) ? 1u : 0u;
  });
  return found;
}

TensorMap run(const Model& model, const TensorMap& feeds) {
  EXPECT_EQ(find_faults(model), std::vector<std::string>{});
  return FloatExecutor(model).run(feeds);
}

// An input that is read twice, and a value that is an output and is read too.
Model two_readers() {
  return testing::make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {2, 3});
    Value* n = b.node("n", "Neg", {x});
    b.output(n);
    b.output(b.node("y", "Add", {n, x}));
  });
}

TEST(InsertQdq, all_readers_read_what_came_of_the_round_trip) {
  const TensorMap feeds = {{"x", random_weights({2, 3}, 1)}};
  const auto rounded = [](const Tensor& x) {
    return fake_quantized(x, {kParams, integer_range(DType::kUint8)});
  };
  for (const char* name : {"x", "n", "y"}) {
    Model model = two_readers();
    const TensorMap before = run(model, feeds);
    QdqInserter().quantize(model.graph->find(name), kParams, DType::kUint8);
    const TensorMap after = run(model, feeds);
    ASSERT_EQ(after.size(), 2u) << name;  // outputs keep their names
    if (*name == 'x') {
      EXPECT_TRUE(
          after.at("n").identical(run(two_readers(), {{"x", rounded(feeds.at("x"))}}).at("n")));
    } else {
      EXPECT_TRUE(after.at(name).identical(rounded(before.at(name)))) << name;
    }
    EXPECT_EQ(count(model, "QuantizeLinear"), 1u);
    EXPECT_EQ(count(model, "DequantizeLinear"), 1u);
  }
}

TEST(InsertQdq, chosen_readers_alone) {
  Model model = two_readers();
  Value* x = model.graph->find("x");
  Node* add = model.graph->find("y")->producer();
  QdqInserter().quantize_for({{add, 1}}, x, kParams, DType::kUint8);
  EXPECT_EQ(model.graph->find("n")->producer()->input(0), x);
  EXPECT_TRUE(add->input(1)->producer()->is("DequantizeLinear"));
  EXPECT_EQ(find_faults(model), std::vector<std::string>{});
}

TEST(InsertQdq, equal_scales_are_one_initializer) {
  Model model = two_readers();
  QdqInserter inserter;
  inserter.quantize(model.graph->find("x"), kParams, DType::kUint8);
  inserter.quantize(model.graph->find("n"), kParams, DType::kUint8);
  EXPECT_EQ(model.graph->initializers().size(), 2u);
  // Another zero point of the same scale is one initializer more.
  inserter.quantize(model.graph->find("y"), {kParams.scale, 91}, DType::kUint8);
  EXPECT_EQ(model.graph->initializers().size(), 3u);
  EXPECT_EQ(find_faults(model), std::vector<std::string>{});
}

TEST(InsertQdq, a_constant_becomes_integers) {
  Model model = testing::make_model([](GraphBuilder& b) {
    Value* c = b.constant("c", random_weights({2, 3}, 2));
    b.output(b.node("y", "Add", {b.input("x", {2, 3}), c}));
  });
  const TensorMap feeds = {{"x", Tensor::zeros(DType::kFloat, {2, 3})}};
  const Tensor wanted =
      fake_quantized(run(model, feeds).at("y"), {kParams, integer_range(DType::kUint8)});
  QdqInserter().quantize(model.graph->find("c"), kParams, DType::kUint8);
  EXPECT_EQ(count(model, "QuantizeLinear"), 0u);
  EXPECT_EQ(model.graph->find("c_quantized")->initializer()->dtype(), DType::kUint8);
  EXPECT_TRUE(run(model, feeds).at("y").identical(wanted));
}

TEST(InsertQdq, weights_come_in_beside_the_node_that_reads_them) {
  for (DType dtype : {DType::kInt8, DType::kInt4}) {
    for (int64_t block_size : {0, 4}) {
      Model model = testing::make_nested_model(
          {2, 8},
          [](GraphBuilder& b, Value* x) {
            Value* w = b.constant("w", random_weights({8, 3}, 3));
            b.output(b.node("m", "MatMul", {x, w}));
          },
          21);
      Graph& branch = *model.graph->last_node()->graph_attribute("then_branch");
      Value* real = branch.find("w");
      Node* product = *branch.nodes().begin();
      const int axis = block_size > 0 ? 0 : 1;
      const WeightFormat format{dtype, WeightRange::kMinMax, axis, block_size};
      const Tensor weights = *real->initializer();
      const QuantizedWeights quantized = quantized_weights(weights, format);
      QdqInserter inserter;
      Value* read = inserter.dequantized(*real, quantized.integers, quantized.scales, axis,
                                         block_size, product);
      EXPECT_EQ(read->graph(), &branch);
      product->set_input(1, read);
      inserter.drop_if_unread(real);
      EXPECT_EQ(branch.find("w"), nullptr);
      const TensorMap feeds = {{"condition", Tensor::scalar<bool>(true)},
                               {"x", random_weights({2, 8}, 4)}};
      const Tensor y = run(model, feeds).at("y");
      const Tensor held = dequantize_weights(quantized.integers, quantized.scales, format);
      Model plain = testing::make_model([&](GraphBuilder& b) {
        b.output(b.node("y", "MatMul", {b.input("x", {2, 8}), b.constant("w", held)}));
      });
      EXPECT_TRUE(y.identical(run(plain, {{"x", feeds.at("x")}}).at("y")))
          << dtype_name(dtype) << " in blocks of " << block_size;
    }
  }
}

TEST(InsertQdq, a_transpose_shares_the_integers) {
  for (DType dtype : {DType::kInt8, DType::kInt4, DType::kInt2}) {
    for (int axis : {-1, 0, 1}) {
      for (int64_t block_size : {0, 4}) {
        if (axis < 0 && block_size > 0) continue;
        const Tensor weights = random_weights({8, 12}, 3);
        Model model = testing::make_model(
            [&](GraphBuilder& b) {
              Value* w = b.constant("w", weights);
              b.output(b.node("y", "Neg", {b.node("t", "Transpose", {w})}));
              b.output(b.node("straight", "Neg", {w}));
            },
            25);
        Node* turned = model.graph->find("y")->producer();
        Node* straight = model.graph->find("straight")->producer();
        const Value& real = *straight->input(0);
        const WeightFormat format{dtype, WeightRange::kMinMax, axis, block_size};
        const auto [integers, scales] = quantized_weights(weights, format);
        QdqInserter inserter;
        turned->set_input(
            0, inserter.dequantized_transpose(real, integers, scales, axis, block_size, turned));
        straight->set_input(
            0, inserter.dequantized(real, integers, scales, axis, block_size, straight));
        const TensorMap outputs = run(model, {});
        const auto y = outputs.at("y").values<float>();
        const auto plain = outputs.at("straight").values<float>();
        ASSERT_EQ(outputs.at("y").shape(), (Dims{12, 8}));
        for (size_t i = 0; i < 8; ++i) {
          for (size_t j = 0; j < 12; ++j) ASSERT_EQ(y[j * 8 + i], plain[i * 12 + j]);
        }
        size_t stored = 0;
        for (const Value* value : model.graph->initializers()) {
          stored += value->initializer()->dtype() == dtype &&
                    value->initializer()->size() == weights.size();
        }
        EXPECT_EQ(stored, 1u) << dtype_name(dtype) << ", axis " << axis;
      }
    }
  }
}

}  // namespace
}  // namespace dwindle::passes
