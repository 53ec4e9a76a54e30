#include <gtest/gtest.h>

#include <cmath>
#include <utility>

#include "core/data/dataset.h"
#include "core/ir/verify.h"
#include "core/quant/sqnr.h"
#include "core/runtime/float_executor.h"
#include "core/support/error.h"
#include "passes/quantize/quantize.h"
#include "passes/registry.h"
#include "tests/support/expect_error.h"
#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

using passes::PassContext;
using passes::PassResult;

// `count` feeds of x, each other numbers of [-1, 1].
class Waves : public Dataset {
 public:
  Waves(Dims shape, int count) : shape_(std::move(shape)), count_(count) {}

  std::optional<Feed> next() override {
    if (at_ == count_) return std::nullopt;
    Tensor x = Tensor::allocate(DType::kFloat, shape_);
    float* values = x.mutable_data<float>();
    for (int64_t i = 0; i < x.size(); ++i) {
      values[i] = std::sin(static_cast<float>(i * 7 + at_ * 131) * 0.37f);
    }
    ++at_;
    return Feed{{{"x", std::move(x)}}, std::nullopt, 1};
  }
  bool rewind() override {
    at_ = 0;
    return true;
  }
  int64_t size() const override { return count_; }

 private:
  Dims shape_;
  int count_, at_ = 0;
};

// Conv, Relu, Conv; the first Conv has a bias.
Model two_convs() {
  return make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {1, 2, 5, 5});
    Value* a = b.node("a", "Conv", {x, b.ramp("w", {3, 2, 3, 3}), b.ramp("b", {3})});
    Value* r = b.node("r", "Relu", {a});
    b.output(b.node("y", "Conv", {r, b.ramp("v", {2, 3, 1, 1})}));
  });
}

PassResult quantize(Model& model, const PassOptions& options = {}, Dims shape = {1, 2, 5, 5}) {
  Waves data(std::move(shape), 4);
  PassContext context;
  context.calibration = &data;
  const PassResult result = passes::make_pass("quantize-static", options)->run(model, context);
  EXPECT_TRUE(find_faults(model).empty());
  return result;
}

TEST(QuantizeStatic, QuantizesBetweenConvolutions) {
  Model model = two_convs();
  const PassResult result = quantize(model);
  EXPECT_TRUE(result.changed);
  EXPECT_EQ(ops_of(*model.graph),
            "QuantizeLinear DequantizeLinear DequantizeLinear DequantizeLinear Conv "
            "QuantizeLinear DequantizeLinear DequantizeLinear DequantizeLinear Conv "
            "QuantizeLinear DequantizeLinear");
  EXPECT_EQ(result.counts.at("clips removed"), 1);
  EXPECT_EQ(model.graph->outputs()[0]->name(), "y");
}

TEST(QuantizeStatic, KeepsTheMeaning) {
  const Model original = two_convs();
  Model model = original.clone();
  quantize(model);
  Waves data({1, 2, 5, 5}, 3);
  std::vector<Feed> feeds;
  while (auto feed = data.next()) feeds.push_back(std::move(*feed));
  const auto quality = passes::measure_quality(original, original, model, feeds, 2, nullptr);
  EXPECT_EQ(quality.samples, 3);
  EXPECT_GT(quality.outputs.at(0).sqnr_db, 30);
  EXPECT_LT(quality.outputs.at(0).sqnr_db, 70);  // it is rounded after all
  EXPECT_EQ(quality.worst_nodes.size(), 2u);
}

TEST(QuantizeStatic, OneScaleAnOutputChannelOrOneInAll) {
  for (bool per_tensor : {false, true}) {
    Model model = two_convs();
    quantize(model, {{"per-tensor", per_tensor}});
    const Value* scale = model.graph->find("w_scale");
    ASSERT_NE(scale, nullptr);
    EXPECT_EQ(scale->initializer()->shape(), per_tensor ? Dims{} : Dims{3});
  }
}

// One feed: x of [-1, 1], and a condition.
class Branched : public Waves {
 public:
  explicit Branched(bool condition) : Waves({1, 2, 5, 5}, 4), condition_(condition) {}
  std::optional<Feed> next() override {
    auto feed = Waves::next();
    if (feed) feed->inputs["condition"] = Tensor::scalar<bool>(condition_);
    return feed;
  }

 private:
  bool condition_;
};

Model conv_in_a_branch() {
  return make_nested_model({1, 2, 5, 5}, [](GraphBuilder& b, Value* x) {
    Value* w = b.ramp("w", {2, 2, 3, 3});
    Value* c = b.node("c", "Conv", {x, w});
    b.output(b.node("d", "Conv", {b.node("r", "Relu", {c}), b.ramp("v", {2, 2, 1, 1})}));
  });
}

TEST(QuantizeStatic, QuantizesInBranches) {
  const Model original = conv_in_a_branch();
  Model model = original.clone();
  Branched data(true);
  PassContext context{&data};
  const PassResult result = passes::make_pass("quantize-static")->run(model, context);
  EXPECT_TRUE(result.changed);
  EXPECT_TRUE(find_faults(model).empty());
  EXPECT_EQ(result.counts.at("weights quantized"), 2);
  const Graph& branch = *model.graph->last_node()->graph_attribute("then_branch");
  EXPECT_EQ(ops_of(branch),
            "DequantizeLinear DequantizeLinear DequantizeLinear Conv QuantizeLinear "
            "DequantizeLinear DequantizeLinear DequantizeLinear Conv QuantizeLinear "
            "DequantizeLinear");
  data.rewind();
  const Feed feed = *data.next();
  const Tensor real = FloatExecutor(original).run(feed.inputs).at("y");
  const Tensor quantized = FloatExecutor(model).run(feed.inputs).at("y");
  Sqnr sqnr;
  sqnr.add(real.values<float>(), quantized.values<float>());
  EXPECT_GT(sqnr.db(), 30);
}

TEST(QuantizeStatic, ABranchThatNoDataReachesStaysInFloat) {
  Model model = conv_in_a_branch();
  Branched data(false);
  PassContext context{&data};
  const PassResult result = passes::make_pass("quantize-static")->run(model, context);
  EXPECT_FALSE(result.changed);
  ASSERT_FALSE(result.notes.empty());
  EXPECT_NE(result.notes[0].find("calibration never reached it"), std::string::npos)
      << result.notes[0];
  EXPECT_EQ(ops_of(*model.graph->last_node()->graph_attribute("then_branch")), "Conv Relu Conv");
}

TEST(QuantizeStatic, AnInfiniteOperandIsAnIsland) {
  Model model = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {1, 2, 5, 5});
    Value* a = b.node("a", "Conv", {x, b.ramp("w", {2, 2, 3, 3})});
    Value* m = b.node("m", "Add", {a, b.floats("mask", {2, 1, 1}, {0, -INFINITY})});
    b.output(b.node("y", "Softmax", {m}));
  });
  const PassResult result = quantize(model);
  EXPECT_TRUE(result.changed);
  EXPECT_NE(result.notes[0].find("'mask' holds an infinity"), std::string::npos) << result.notes[0];
}

TEST(QuantizeStatic, ANodeThatWouldLoseEverythingStaysInFloat) {
  // One huge channel leaves the others, which alone are read, no steps.
  Model model = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {1, 2, 5, 5});
    Value* a = b.node("a", "Conv", {x, b.floats("w", {2, 2, 1, 1}, {1e6f, 0, 0, 1})});
    b.output(b.node("y", "Conv", {a, b.floats("v", {1, 2, 1, 1}, {0, 1})}));
  });
  const PassResult result = quantize(model, {{"min-output-sqnr", 0.0}});
  const std::string notes = result.notes.empty() ? "" : result.notes.back();
  EXPECT_NE(notes.find("of its output would be left"), std::string::npos) << notes;
  EXPECT_TRUE(ops_of(*model.graph).ends_with("DequantizeLinear Conv")) << ops_of(*model.graph);
}

// One feed of row numbers.
class Rows : public Dataset {
 public:
  std::optional<Feed> next() override {
    if (std::exchange(done_, true)) return std::nullopt;
    return feed();
  }
  static Feed feed() {
    return Feed{{{"ids", Tensor::of<int64_t>({1, 5}, std::vector<int64_t>{0, 9, 3, 7, 5})}}, {}};
  }
  bool rewind() override {
    done_ = false;
    return true;
  }
  int64_t size() const override { return 1; }

 private:
  bool done_ = false;
};

TEST(QuantizeStatic, RowsOfATableFeedQuantizedNodes) {
  for (bool moved : {false, true}) {
    const Model original = make_model([&](GraphBuilder& b) {
      Value* ids = b.input("ids", {1, 5}, DType::kInt64);
      Value* e = b.node("e", "Gather", {b.ramp("table", {10, 32}, -1, 0.007f), ids});
      if (moved) e = b.node("m", "Transpose", {e}, {{"perm", std::vector<int64_t>{0, 2, 1}}});
      Value* w = b.ramp("w", {moved ? 5 : 32, 16}, -1, 0.003f);
      b.output(b.node("y", "MatMul", {e, w}));
      b.output(e);
    });
    Model model = original.clone();
    Rows data;
    PassContext context{&data};
    EXPECT_TRUE(passes::make_pass("quantize-static")->run(model, context).changed);
    EXPECT_TRUE(find_faults(model).empty());
    const TensorMap feeds = Rows::feed().inputs;
    Sqnr sqnr;
    sqnr.add(FloatExecutor(original).run(feeds).at("y").values<float>(),
             FloatExecutor(model).run(feeds).at("y").values<float>());
    EXPECT_GT(sqnr.db(), 30) << moved;
  }
}

TEST(QuantizeStatic, PaddingWithANumberWidensTheRange) {
  const Model original = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {1, 2, 5, 5});
    Value* pads = b.ints("pads", {0, 0, 1, 1, 0, 0, 1, 1});
    Value* p = b.node("p", "Pad", {x, pads, b.constant("nine", Tensor::scalar(9.0f))});
    b.output(b.node("y", "Conv", {p, b.ramp("w", {2, 2, 3, 3})}));
  });
  Model model = original.clone();
  quantize(model);
  Waves data({1, 2, 5, 5}, 1);
  const TensorMap feeds = data.next()->inputs;
  Sqnr sqnr;
  sqnr.add(FloatExecutor(original).run(feeds).at("y").values<float>(),
           FloatExecutor(model).run(feeds).at("y").values<float>());
  EXPECT_GT(sqnr.db(), 25);
}

TEST(QuantizeStatic, TiedWeightsStayShared) {
  Model model = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {1, 40, 5, 5});
    Value* w = b.ramp("w", {40, 40, 1, 1});
    b.output(b.node("y", "Conv", {b.node("a", "Conv", {x, w}), w}));
  });
  quantize(model, {}, {1, 40, 5, 5});
  int integers = 0;
  for (const Value* value : model.graph->initializers()) {
    integers += value->initializer()->shape() == Dims{40, 40, 1, 1};
  }
  EXPECT_EQ(integers, 1);
}

TEST(QuantizeStatic, FirstAndLastLayersMayStayInFloat) {
  Model model = make_model([](GraphBuilder& b) {
    Value* value = b.input("x", {1, 2, 5, 5});
    for (const char* name : {"a", "b", "c"}) {
      value = b.node(name, "Conv", {value, b.ramp(std::string("w") + name, {2, 2, 1, 1})});
    }
    b.output(value);
  });
  const PassResult result = quantize(model, {{"first-last", std::string("float")}});
  EXPECT_EQ(result.counts.at("weights quantized"), 1);
}

TEST(QuantizeStatic, ATargetAndOptionsThatContradictAreAnError) {
  const auto make = [](const PassOptions& options) {
    passes::make_pass("quantize-static", options);
  };
  EXPECT_THROW(make({{"target", std::string("tensorrt")}, {"activations", std::string("uint8")}}),
               BadOption);
  EXPECT_THROW(make({{"target", std::string("xnnpack")}, {"weights", std::string("int4")}}),
               BadOption);
  EXPECT_THROW(make({{"target", std::string("ethos-u")}, {"block-size", int64_t{32}}}), BadOption);
  EXPECT_THROW(make({{"block-size", int64_t{32}}, {"per-tensor", true}}), BadOption);
  EXPECT_THROW(make({{"block-size", int64_t{-1}}}), BadOption);
  // No runtime multiplies bytes in blocks by quantized activations.
  EXPECT_THROW(make({{"block-size", int64_t{32}}}), BadOption);
  EXPECT_THROW(make({{"averaging-constant", 0.5}}), BadOption);
  EXPECT_THROW(make({{"reduce-range", true}, {"weights", std::string("int4")}}), BadOption);
}

TEST(QuantizeStatic, DoesNothingWithoutALayerToQuantize) {
  Model model = make_model([](GraphBuilder& b) {
    b.output(b.node("y", "Softmax", {b.input("x", {1, 4})}));
  });
  const PassResult result = quantize(model, {}, {1, 4});
  EXPECT_FALSE(result.changed);
  EXPECT_EQ(ops_of(*model.graph), "Softmax");
}

TEST(QuantizeStatic, RefusesAQuantizedModel) {
  Model model = two_convs();
  quantize(model);
  EXPECT_THROW(quantize(model), BadModel);
}

TEST(QuantizeStatic, NeedsData) {
  Model model = two_convs();
  PassContext context;
  EXPECT_THROW(passes::make_pass("quantize-static")->run(model, context), BadOption);
  Waves none({1, 2, 5, 5}, 0);
  context.calibration = &none;
  EXPECT_THROW(passes::make_pass("quantize-static")->run(model, context), BadData);
}

TEST(QuantizeStatic, RefusesWeightsThatAreNotNumbers) {
  Model model = two_convs();
  Tensor weights = *model.graph->find("v")->initializer();
  weights.mutable_data<float>()[4] = NAN;
  model.graph->find("v")->set_initializer(weights);
  EXPECT_THROW(quantize(model), Error);
}

TEST(QuantizeStatic, AnUnknownMethodOrPatternIsAnError) {
  EXPECT_THROW(passes::make_pass("quantize-static", {{"calib-method", std::string("best")}}),
               BadOption);
  Model model = two_convs();
  const std::vector<std::string> patterns = {"nothing_like_it"};
  EXPECT_THROW(quantize(model, {{"exclude", patterns}}), BadOption);
}

}  // namespace
}  // namespace dwindle::testing
