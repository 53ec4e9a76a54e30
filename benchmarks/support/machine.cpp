#include "benchmarks/support/machine.h"

#include <algorithm>
#include <chrono>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace dwindle::bench {
namespace {

constexpr int kRounds = 1 << 16;
// Enough chains to hide a latency of 4 or 5 cycles on two ports, few enough for 16 registers.
constexpr int kChains = 12;

#if defined(__x86_64__)
__attribute__((target("avx512f"))) float run_avx512() {
  __m512 sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = _mm512_set1_ps(static_cast<float>(i));
  __m512 factor = _mm512_set1_ps(0.5f);
  for (int round = 0; round < kRounds; ++round) {
    asm volatile("" : "+v"(factor));
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sum[i] = _mm512_fmadd_ps(sum[i], factor, factor);
  }
  for (int i = 1; i < kChains; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  return _mm512_cvtss_f32(sum[0]);
}

__attribute__((target("avx2,fma"))) float run_avx2() {
  __m256 sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = _mm256_set1_ps(static_cast<float>(i));
  __m256 factor = _mm256_set1_ps(0.5f);
  for (int round = 0; round < kRounds; ++round) {
    asm volatile("" : "+x"(factor));
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sum[i] = _mm256_fmadd_ps(sum[i], factor, factor);
  }
  for (int i = 1; i < kChains; ++i) sum[0] = _mm256_add_ps(sum[0], sum[i]);
  return _mm256_cvtss_f32(sum[0]);
}
#endif

float run_portable() {
  float sum[kChains] = {};
  float factor = 0.5f;
  for (int round = 0; round < kRounds; ++round) {
    asm volatile("" : "+m"(factor));
    for (int i = 0; i < kChains; ++i) sum[i] = sum[i] * factor + factor;
  }
  for (int i = 1; i < kChains; ++i) sum[0] += sum[i];
  return sum[0];
}

double measure(float (*run)(), int lanes) {
  double best = 0;
  for (int attempt = 0; attempt < 20; ++attempt) {
    const auto start = std::chrono::steady_clock::now();
    volatile float keep = run();
    (void)keep;
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2.0 * kRounds * kChains * lanes / seconds.count() * 1e-9);
  }
  return best;
}

}  // namespace

double peak_gflops() {
#if defined(__x86_64__)
  static const double peak = __builtin_cpu_supports("avx512f") ? measure(run_avx512, 16)
                             : __builtin_cpu_supports("fma")   ? measure(run_avx2, 8)
                                                               : measure(run_portable, 1);
#else
  static const double peak = measure(run_portable, 1);
#endif
  return peak;
}

}  // namespace dwindle::bench
