// Rates of unary_f32 on one thread, in elements of arrays that stay in the second-level cache, for
// every variant that this CPU runs. Each result is checked against the scalar variant first.
#include "core/kernels/unary_f32/unary_f32.h"

#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

namespace {

using namespace dwindle;
using namespace dwindle::kernels;

struct Function {
  UnaryFunction function;
  const char* name;
};

constexpr Function kFunctions[] = {
    {UnaryFunction::kExp, "exp"},
    {UnaryFunction::kSigmoid, "sigmoid"},
    {UnaryFunction::kSwish, "swish"},
    {UnaryFunction::kTanh, "tanh"},
    {UnaryFunction::kErf, "erf"},
    {UnaryFunction::kGelu, "gelu"},
    {UnaryFunction::kGeluTanh, "gelu-tanh"},
    {UnaryFunction::kMish, "mish"},
    {UnaryFunction::kElu, "elu"},
    {UnaryFunction::kHardSigmoid, "hard-sigmoid"},
    {UnaryFunction::kHardSwish, "hard-swish"},
};

void run(benchmark::State& state, UnaryFunction function, UnaryF32Fn kernel) {
  constexpr int64_t kCount = 1 << 15;
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> x(kCount), y(kCount), expected(kCount);
  for (float& value : x) value = normal(random);
  UnaryF32 args{.function = function,
                .x = x.data(),
                .count = kCount,
                .alpha = 0.2f,
                .beta = 0.5f,
                .y = expected.data()};
  unary_f32_variants().back().fn(args);
  args.y = y.data();
  kernel(args);
  if (y != expected) {
    state.SkipWithError("wrong result");
    return;
  }
  for (auto _ : state) kernel(args);
  state.counters["Gelements/s"] =
      benchmark::Counter(1e-9 * double(kCount), benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace

int main(int argc, char** argv) {
  for (const auto& variant : unary_f32_variants()) {
    if (!cpu_supports(variant.isa)) continue;
    for (const Function& function : kFunctions) {
      const std::string name = "unary_f32/" + std::string(variant.name) + "/" + function.name;
      benchmark::RegisterBenchmark(name.c_str(), [&variant, &function](benchmark::State& state) {
        run(state, function.function, variant.fn);
      });
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
