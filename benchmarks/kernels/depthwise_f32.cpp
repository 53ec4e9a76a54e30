// Rates of depthwise_f32 on one thread, for every variant that this CPU runs. Each result is
// checked against the scalar variant, bit for bit, before it is timed. The peak is that of
// multiply-adds; large planes are held back by memory long before it.
#include "core/kernels/depthwise_f32/depthwise_f32.h"

#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "benchmarks/support/machine.h"
#include "core/support/threads.h"

namespace {

using namespace dwindle;
using namespace dwindle::kernels;

struct Layer {
  int64_t channels, in, kernel, stride;
};

constexpr Layer kLayers[] = {
    {32, 112, 3, 1}, {96, 112, 3, 2}, {144, 56, 3, 1}, {144, 56, 5, 2},
    {240, 28, 5, 1}, {240, 28, 3, 2}, {480, 14, 3, 1}, {672, 14, 5, 1},
    {672, 14, 5, 2}, {1152, 7, 5, 1}, {1152, 7, 3, 1}, {96, 56, 7, 1},
};

std::vector<float> random_floats(int64_t count) {
  static std::mt19937 rng(1);
  std::uniform_real_distribution<float> dist(-1.0f, 1.0f);
  std::vector<float> out(static_cast<size_t>(count));
  for (float& v : out) v = dist(rng);
  return out;
}

void run(benchmark::State& state, const Layer& layer, DepthwiseF32Fn kernel) {
  const int64_t out = (layer.in - 1) / layer.stride + 1;
  DepthwiseF32 d;
  d.channels = layer.channels;
  d.geometry = {.in_h = layer.in,
                .in_w = layer.in,
                .out_h = out,
                .out_w = out,
                .kernel_h = layer.kernel,
                .kernel_w = layer.kernel,
                .stride_h = layer.stride,
                .stride_w = layer.stride,
                .pad_top = layer.kernel / 2,
                .pad_left = layer.kernel / 2};
  const std::vector<float> x = random_floats(layer.channels * layer.in * layer.in);
  const std::vector<float> w = random_floats(layer.channels * layer.kernel * layer.kernel);
  std::vector<float> y(layer.channels * out * out);
  std::vector<float> expected(y.size());
  d.x = x.data();
  d.w = w.data();
  d.y = expected.data();
  depthwise_f32(d, depthwise_f32_variants().back().fn);
  d.y = y.data();
  depthwise_f32(d, kernel);
  if (y != expected) {
    state.SkipWithError("wrong result");
    return;
  }
  for (auto _ : state) depthwise_f32(d, kernel);
  const double flops = 2.0 * double(y.size()) * double(layer.kernel * layer.kernel);
  state.counters["GFLOP/s"] =
      benchmark::Counter(1e-9 * flops, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["peak"] = bench::peak_gflops();
}

}  // namespace

int main(int argc, char** argv) {
  set_num_threads(1);
  for (const auto& variant : depthwise_f32_variants()) {
    if (!cpu_supports(variant.isa) || variant.isa == Isa::kScalar) continue;
    for (const Layer& layer : kLayers) {
      const std::string name = "depthwise_f32/" + std::string(variant.name) + "/" +
                               std::to_string(layer.channels) + "x" + std::to_string(layer.in) +
                               "/k" + std::to_string(layer.kernel) + "s" +
                               std::to_string(layer.stride);
      benchmark::RegisterBenchmark(name.c_str(),
                                   [&](benchmark::State& state) { run(state, layer, variant.fn); });
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
