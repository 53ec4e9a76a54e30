// Weights of external data, which go slab by slab through a file, beside the same weights in
// memory.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <limits>

#include "core/ir/verify.h"
#include "core/onnx/onnx.h"
#include "core/support/error.h"
#include "passes/registry.h"
#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"
#include "tests/support/random_weights.h"
#include "tests/support/temp_folder.h"

namespace dwindle::testing {
namespace {

using passes::PassContext;
using passes::PassResult;

// Two products, of which the first has more weights than a slab, and a Gemm that scales its own.
Model large_products() {
  static const Tensor large = random_weights({3000, 1500}, 1);  // made once: that takes its time
  return make_model(
      [](GraphBuilder& b) {
        Value* x = b.input("x", {1, 3000});
        Value* h = b.node("h", "MatMul", {x, b.constant("v", large)});
        Value* i = b.node("i", "MatMul", {h, b.constant("w", random_weights({1500, 40}, 2))});
        Value* u = b.constant("u", random_weights({30, 40}, 3));
        b.output(b.node("y", "Gemm", {i, u}, {{"transB", int64_t{1}}, {"alpha", 0.5f}}));
      },
      21);
}

PassResult quantize(Model& model, const PassOptions& options,
                    const std::filesystem::path& scratch) {
  PassContext context;
  context.scratch = scratch;
  PassResult result = passes::make_pass("quantize-weights", options)->run(model, context);
  EXPECT_TRUE(find_faults(model).empty());
  return result;
}

TEST(StreamWeights, GivesWhatMemoryGives) {
  const TempFolder folder;
  const std::filesystem::path path = folder / "m.onnx";
  save_model(large_products(), path, ExternalData::kAlways);
  for (const PassOptions& options :
       {PassOptions{{"weights", std::string("int4")}, {"block-size", int64_t{32}}},
        PassOptions{{"weights", std::string("int4")}, {"block-size", int64_t{7}}},
        PassOptions{{"weights", std::string("int8")}}}) {
    Model in_memory = large_products();
    Model streamed = load_model(path);
    ASSERT_TRUE(streamed.graph->find("v")->initializer()->mapped());
    const PassResult expected = quantize(in_memory, options, folder.path());
    const PassResult result = quantize(streamed, options, folder.path());
    EXPECT_EQ(result.notes, expected.notes);  // the SQNR too
    EXPECT_EQ(folder.entries(), 2u) << "the temporary file has a name";
    EXPECT_TRUE(streamed.graph->find("v_quantized")->initializer()->mapped());
    EXPECT_FALSE(in_memory.graph->find("v_quantized")->initializer()->mapped());
    EXPECT_EQ(serialize_model(streamed), serialize_model(in_memory));
  }
}

TEST(StreamWeights, SavesAsExternalDataAgain) {
  const TempFolder folder;
  save_model(large_products(), folder / "m.onnx", ExternalData::kAlways);
  Model model = load_model(folder / "m.onnx");
  quantize(model, {{"weights", std::string("int4")}, {"block-size", int64_t{32}}}, folder.path());
  save_model(model, folder / "q.onnx");
  EXPECT_TRUE(std::filesystem::exists(folder / "q.onnx.data"));
  EXPECT_EQ(serialize_model(load_model(folder / "q.onnx")), serialize_model(model));
  // Over what it was read from: the old bytes serve until the new file is whole.
  save_model(model, folder / "m.onnx");
  EXPECT_EQ(serialize_model(load_model(folder / "m.onnx")), serialize_model(model));
}

TEST(StreamWeights, NamesWeightsThatAreNotFinite) {
  const TempFolder folder;
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), -HUGE_VALF}) {
    for (int64_t block : {0, 32}) {
      Model model = large_products();
      Tensor weights = *model.graph->find("v")->initializer();
      weights.mutable_data<float>()[4'400'000] = bad;  // in the second slab
      model.graph->find("v")->set_initializer(weights);
      save_model(model, folder / "bad.onnx", ExternalData::kAlways);
      Model loaded = load_model(folder / "bad.onnx");
      try {
        const PassOptions options = {{"block-size", block},
                                     {"weights", std::string("int4")},
                                     {"weight-range", std::string("minmax")}};
        quantize(loaded, options, folder.path());
        FAIL() << "not refused";
      } catch (const BadModel& error) {
        EXPECT_NE(std::string(error.what()).find("element 4400000 of"), std::string::npos)
            << error.what();
      }
    }
  }
}

TEST(StreamWeights, AFullDiskIsAnErrorThatLeavesNothing) {
  const TempFolder folder;
  save_model(large_products(), folder / "m.onnx", ExternalData::kAlways);
  Model model = load_model(folder / "m.onnx");
  void (*handler)(int) = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  rlimit limit = before;
  limit.rlim_cur = 1 << 20;
  ::setrlimit(RLIMIT_FSIZE, &limit);
  EXPECT_THROW(quantize(model, {{"block-size", int64_t{32}}}, folder.path()), IoError);
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(folder.entries(), 2u);
}

}  // namespace
}  // namespace dwindle::testing
