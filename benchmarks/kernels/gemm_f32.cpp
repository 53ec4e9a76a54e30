// Rates of gemm_f32 on one thread, for every variant that this CPU runs, over shapes that mid-size
// convolutional and transformer layers have. Each result is checked before it is timed.
#include "core/kernels/gemm_f32/gemm_f32.h"

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

struct Shape {
  int64_t m, n, k;
};

constexpr Shape kShapes[] = {
    {192, 196, 192}, {192, 196, 1152}, {192, 784, 576}, {1152, 49, 192}, {192, 49, 1152},
    {24, 3136, 144}, {96, 12544, 16},  {64, 3136, 576}, {256, 256, 256}, {512, 512, 512},
    {128, 768, 768}, {1, 1000, 1280},  {1, 4096, 4096}, {8, 1024, 1024}, {1024, 1024, 1024},
};

std::vector<float> random_floats(int64_t count) {
  static std::mt19937 rng(1);
  std::uniform_real_distribution<float> dist(-1.0f, 1.0f);
  std::vector<float> out(static_cast<size_t>(count));
  for (float& v : out) v = dist(rng);
  return out;
}

bool right(const GemmF32& g) {
  for (int64_t i = 0; i < g.m; i += 7) {
    for (int64_t j = 0; j < g.n; j += 5) {
      double sum = 0;
      for (int64_t l = 0; l < g.k; ++l) {
        sum += double(g.a[i * g.a_row_stride + l]) * double(g.b[l * g.b_k_stride + j]);
      }
      if (!(std::abs(sum - g.c[i * g.ldc + j]) < 1e-6 * double(g.k + 8))) return false;
    }
  }
  return true;
}

void run(benchmark::State& state, const Shape& shape, GemmF32Fn kernel, bool packed) {
  const std::vector<float> a = random_floats(shape.m * shape.k);
  const std::vector<float> b = random_floats(shape.k * shape.n);
  std::vector<float> c(shape.m * shape.n);
  GemmF32 g;
  g.m = shape.m;
  g.n = shape.n;
  g.k = shape.k;
  g.a = a.data();
  g.a_row_stride = shape.k;
  g.b = b.data();
  g.b_k_stride = shape.n;
  g.c = c.data();
  g.ldc = shape.n;
  const PackedBF32 packed_b(b.data(), shape.k, shape.n, shape.n, 1);
  GemmF32 timed = g;
  if (packed) {
    timed.b = nullptr;
    timed.packed_b = &packed_b;
  }
  gemm_f32(timed, kernel);
  if (!right(g)) {
    state.SkipWithError("wrong result");
    return;
  }
  for (auto _ : state) gemm_f32(timed, kernel);
  const double gflop = 2e-9 * double(shape.m) * double(shape.n) * double(shape.k);
  state.counters["GFLOP/s"] =
      benchmark::Counter(gflop, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["peak"] = bench::peak_gflops();
}

}  // namespace

int main(int argc, char** argv) {
  set_num_threads(1);
  for (const auto& variant : gemm_f32_variants()) {
    if (!cpu_supports(variant.isa) || variant.isa == Isa::kScalar) continue;
    for (const Shape& shape : kShapes) {
      for (const bool packed : {false, true}) {
        const std::string name = "gemm_f32/" + std::string(variant.name) + "/" +
                                 std::to_string(shape.m) + "x" + std::to_string(shape.n) + "x" +
                                 std::to_string(shape.k) + (packed ? "/packed" : "");
        benchmark::RegisterBenchmark(name.c_str(), [=, &variant](benchmark::State& state) {
          run(state, shape, variant.fn, packed);
        });
      }
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
