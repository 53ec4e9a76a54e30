#include <gtest/gtest.h>

#include "core/data/dataset.h"
#include "core/ir/verify.h"
#include "core/quant/sqnr.h"
#include "core/runtime/float_executor.h"
#include "core/support/error.h"
#include "passes/registry.h"
#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

using passes::PassContext;
using passes::PassResult;

PassResult quantize(Model& model, const PassOptions& options = {}) {
  PassContext context;
  const PassResult result = passes::make_pass("quantize-weights", options)->run(model, context);
  EXPECT_TRUE(find_faults(model).empty());
  return result;
}

Model matrix_product(int opset) {
  return make_model(
      [](GraphBuilder& b) {
        Value* x = b.input("x", {3, 64});
        b.output(b.node("y", "MatMul", {x, b.ramp("w", {64, 48}, -1, 0.0007f)}));
      },
      opset);
}

Tensor ramp_input(Dims shape) {
  Tensor x = Tensor::allocate(DType::kFloat, std::move(shape));
  float* values = x.mutable_data<float>();
  for (int64_t i = 0; i < x.size(); ++i) values[i] = static_cast<float>(i % 17) / 8 - 1;
  return x;
}

double sqnr_of(const Model& original, const Model& changed, const TensorMap& feeds) {
  Sqnr sqnr;
  sqnr.add(FloatExecutor(original).run(feeds).at("y").values<float>(),
           FloatExecutor(changed).run(feeds).at("y").values<float>());
  return sqnr.db();
}

TEST(QuantizeWeights, EveryWidthAloneAndInBlocks) {
  struct Case {
    const char* dtype;
    int64_t block;
    int opset;
    double least_db;
  };
  for (const Case& c :
       {Case{"int8", 0, 13, 40}, Case{"int8", 32, 21, 40}, Case{"int4", 0, 21, 18},
        Case{"int4", 16, 21, 18}, Case{"int4", 24, 21, 18}, Case{"int2", 16, 25, 3}}) {
    const Model original = matrix_product(c.opset);
    Model model = original.clone();
    const PassResult result =
        quantize(model, {{"weights", std::string(c.dtype)}, {"block-size", c.block}});
    EXPECT_TRUE(result.changed);
    EXPECT_EQ(ops_of(*model.graph), "DequantizeLinear MatMul");
    EXPECT_GT(sqnr_of(original, model, {{"x", ramp_input({3, 64})}}), c.least_db)
        << c.dtype << " " << c.block;
    EXPECT_EQ(model.graph->find("w"), nullptr);
  }
}

TEST(QuantizeWeights, AnOpsetThatCannotHoldTheDtypeIsAnError) {
  Model model = matrix_product(20);
  EXPECT_THROW(quantize(model, {{"weights", std::string("int4")}}), Unsupported);
  Model newer = matrix_product(24);
  EXPECT_THROW(quantize(newer, {{"weights", std::string("int2")}}), Unsupported);
}

TEST(QuantizeWeights, LooksUpRowsOfATableOfBytes) {
  const Model original = make_model([](GraphBuilder& b) {
    Value* ids = b.input("ids", {2, 3}, DType::kInt64);
    b.output(b.node("y", "Gather", {b.ramp("table", {10, 16}, -3, 0.04f), ids}));
  });
  Model model = original.clone();
  EXPECT_TRUE(quantize(model).changed);
  EXPECT_EQ(ops_of(*model.graph), "Gather Cast Gather Mul");
  const Tensor ids = Tensor::of<int64_t>({2, 3}, std::vector<int64_t>{0, 9, 3, -1, 5, 5});
  EXPECT_GT(sqnr_of(original, model, {{"ids", ids}}), 40);
}

TEST(QuantizeWeights, RecurrentWeightsAndWeightsInBranches) {
  const Model original = make_nested_model({4, 1, 8}, [](GraphBuilder& b, Value* x) {
    Value* w = b.ramp("w", {1, 64, 8}, -1, 0.003f);
    Value* r = b.ramp("r", {1, 64, 16}, -1, 0.001f);
    b.output(b.nodes({"all", "last"}, "LSTM", {x, w, r}, {{"hidden_size", int64_t{16}}})[1]);
  });
  Model model = original.clone();
  const PassResult result = quantize(model);
  EXPECT_EQ(result.counts.at("weights quantized"), 2);
  EXPECT_GT(sqnr_of(original, model,
                    {{"x", ramp_input({4, 1, 8})}, {"condition", Tensor::scalar<bool>(true)}}),
            30);
}

// x of constant sign, so that the rounding of weights shifts the mean of the product.
class Ones : public Dataset {
 public:
  std::optional<Feed> next() override {
    if (done_) return std::nullopt;
    done_ = true;
    Tensor x = ramp_input({3, 64});
    float* values = x.mutable_data<float>();
    for (int64_t i = 0; i < x.size(); ++i) values[i] += 3;
    return Feed{{{"x", std::move(x)}}, {}};
  }
  bool rewind() override {
    done_ = false;
    return true;
  }
  int64_t size() const override { return 1; }

 private:
  bool done_ = false;
};

TEST(QuantizeWeights, DataCorrectsBiases) {
  for (bool bias : {false, true}) {
    const Model original = make_model(
        [&](GraphBuilder& b) {
          std::vector<Value*> inputs = {b.input("x", {3, 64}), b.ramp("w", {64, 48}, -1, 0.0007f)};
          if (bias) inputs.push_back(b.ramp("b", {48}));
          b.output(b.node("y", "Gemm", inputs));
        },
        21);
    Ones data;
    const TensorMap feeds = data.next()->inputs;
    data.rewind();
    const PassOptions options = {{"weights", std::string("int4")}};
    Model plain = original.clone(), corrected = original.clone();
    quantize(plain, options);
    PassContext context{&data};
    passes::make_pass("quantize-weights", options)->run(corrected, context);
    EXPECT_TRUE(find_faults(corrected).empty());
    EXPECT_GT(sqnr_of(original, corrected, feeds), sqnr_of(original, plain, feeds) + 6);
  }
}

TEST(QuantizeWeights, DoesNothingWithoutWeights) {
  Model model = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {4, 4});
    b.output(b.node("y", "MatMul", {x, x}));
  });
  EXPECT_FALSE(quantize(model).changed);
  EXPECT_EQ(ops_of(*model.graph), "MatMul");
}

TEST(QuantizeWeights, RefusesAQuantizedModel) {
  Model model = matrix_product(17);
  quantize(model);
  EXPECT_THROW(quantize(model), BadModel);
}

}  // namespace
}  // namespace dwindle::testing
