// Rates of conv_f32 on one thread over layers of common convolutional networks: stems, pointwise,
// 3x3 and grouped layers. Each result is checked at some elements before it is timed.
#include "core/kernels/conv_f32/conv_f32.h"

#include <benchmark/benchmark.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "benchmarks/support/machine.h"
#include "core/support/threads.h"

namespace {

using namespace dwindle;
using namespace dwindle::kernels;

struct Layer {
  const char* name;
  int64_t groups, in_channels, out_channels, in, kernel, stride, pad;
  int64_t out() const { return (in + 2 * pad - kernel) / stride + 1; }
};

constexpr Layer kLayers[] = {
    {"stem_3x3s2", 1, 3, 32, 224, 3, 2, 1},      {"stem_7x7s2", 1, 3, 64, 224, 7, 2, 3},
    {"expand_112", 1, 16, 96, 112, 1, 1, 0},     {"project_56", 1, 144, 24, 56, 1, 1, 0},
    {"expand_14", 1, 112, 672, 14, 1, 1, 0},     {"project_14", 1, 672, 112, 14, 1, 1, 0},
    {"expand_7", 1, 192, 1152, 7, 1, 1, 0},      {"project_7", 1, 1152, 192, 7, 1, 1, 0},
    {"downsample_28", 1, 256, 512, 56, 1, 2, 0}, {"3x3_56", 1, 64, 64, 56, 3, 1, 1},
    {"3x3_28", 1, 128, 128, 28, 3, 1, 1},        {"3x3_14", 1, 256, 256, 14, 3, 1, 1},
    {"3x3_7", 1, 512, 512, 7, 3, 1, 1},          {"3x3s2_28", 1, 64, 128, 56, 3, 2, 1},
    {"grouped_14", 32, 512, 512, 14, 3, 1, 1},   {"tiny_32", 1, 16, 16, 32, 3, 1, 1},
};

bool right(const ConvF32& c) {
  const int64_t group_in = c.in_channels / c.groups;
  const int64_t plane = c.out_size[1] * c.out_size[2];
  for (int64_t at = 0; at < c.out_channels * plane; at += 997) {
    const int64_t o = at / plane;
    const int64_t oh = at % plane / c.out_size[2];
    const int64_t ow = at % c.out_size[2];
    const int64_t first = o / (c.out_channels / c.groups) * group_in;
    double sum = c.bias[o];
    for (int64_t k = 0; k < group_in * c.kernel[1] * c.kernel[2]; ++k) {
      const int64_t channel = first + k / c.kernel[2] / c.kernel[1];
      const int64_t ih = oh * c.stride[1] + k / c.kernel[2] % c.kernel[1] - c.pad_begin[1];
      const int64_t iw = ow * c.stride[2] + k % c.kernel[2] - c.pad_begin[2];
      if (ih < 0 || ih >= c.in_size[1] || iw < 0 || iw >= c.in_size[2]) continue;
      const float x = c.x[(channel * c.in_size[1] + ih) * c.in_size[2] + iw];
      sum += double(x) * double(c.w[o * group_in * c.kernel[1] * c.kernel[2] + k]);
    }
    if (!(std::abs(sum - c.y[at]) < 1e-3)) return false;
  }
  return true;
}

std::vector<float> random_floats(int64_t count) {
  static std::mt19937 rng(1);
  std::uniform_real_distribution<float> dist(-1.0f, 1.0f);
  std::vector<float> out(static_cast<size_t>(count));
  for (float& v : out) v = dist(rng);
  return out;
}

void run(benchmark::State& state, const Layer& layer) {
  ConvF32 c;
  c.groups = layer.groups;
  c.in_channels = layer.in_channels;
  c.out_channels = layer.out_channels;
  c.in_size = {1, layer.in, layer.in};
  c.out_size = {1, layer.out(), layer.out()};
  c.kernel = {1, layer.kernel, layer.kernel};
  c.stride = {1, layer.stride, layer.stride};
  c.pad_begin = {0, layer.pad, layer.pad};
  const int64_t macs_per_output = c.in_channels / c.groups * layer.kernel * layer.kernel;
  const int64_t outputs = c.out_channels * layer.out() * layer.out();
  const std::vector<float> x = random_floats(c.in_channels * layer.in * layer.in);
  const std::vector<float> w = random_floats(c.out_channels * macs_per_output);
  const std::vector<float> bias = random_floats(c.out_channels);
  std::vector<float> y(outputs);
  c.x = x.data();
  c.w = w.data();
  c.bias = bias.data();
  c.y = y.data();
  conv_f32(c);
  if (!right(c)) {
    state.SkipWithError("wrong result");
    return;
  }
  for (auto _ : state) conv_f32(c);
  state.counters["GFLOP/s"] = benchmark::Counter(2e-9 * double(outputs * macs_per_output),
                                                 benchmark::Counter::kIsIterationInvariantRate);
  state.counters["peak"] = bench::peak_gflops();
}

}  // namespace

int main(int argc, char** argv) {
  set_num_threads(1);
  for (const Layer& layer : kLayers) {
    benchmark::RegisterBenchmark((std::string("conv_f32/") + layer.name).c_str(),
                                 [&layer](benchmark::State& state) { run(state, layer); });
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
