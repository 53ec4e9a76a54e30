// The loops of all variants, for the compiler to vectorize: each variant includes them and is
// compiled for its own instruction set. No step is contracted (-ffp-contract=off), so that all make
// the same bits.
#pragma once

#include <cstring>

#include "core/kernels/unary_f32/unary_f32.h"
#include "core/kernels/vector_math.h"

namespace dwindle::kernels {
namespace {

// In blocks whose results wait until all is read: x and y may be the same. A last block that is not
// full takes as many steps as any.
template <typename F>
void map(const UnaryF32& p, const F& f) noexcept {
  constexpr int64_t kBlock = 64;
  float out[kBlock];
  const int64_t whole = p.count / kBlock * kBlock;
  for (int64_t first = 0; first < whole; first += kBlock) {
    const float* x = p.x + first;
    for (int64_t i = 0; i < kBlock; ++i) out[i] = f(x[i]);
    std::memcpy(p.y + first, out, sizeof(out));
  }
  if (whole == p.count) return;
  float in[kBlock] = {};
  const size_t bytes = static_cast<size_t>(p.count - whole) * sizeof(float);
  std::memcpy(in, p.x + whole, bytes);
  for (int64_t i = 0; i < kBlock; ++i) out[i] = f(in[i]);
  std::memcpy(p.y + whole, out, bytes);
}

void run(const UnaryF32& p) noexcept {
  const float alpha = p.alpha;
  switch (p.function) {
    case UnaryFunction::kExp:
      return map(p, [alpha](float x) { return fast_exp(x - alpha); });
    case UnaryFunction::kSigmoid:
      return map(p, [](float x) { return fast_sigmoid(x); });
    case UnaryFunction::kSwish:
      return map(p, [alpha](float x) { return fast_swish(x, alpha); });
    case UnaryFunction::kTanh:
      return map(p, [](float x) { return fast_tanh(x); });
    case UnaryFunction::kErf:
      return map(p, [](float x) { return fast_erf(x); });
    case UnaryFunction::kGelu:
      return map(p, [](float x) { return fast_gelu(x); });
    case UnaryFunction::kGeluTanh:
      return map(p, [](float x) { return fast_gelu_tanh(x); });
    case UnaryFunction::kMish:
      return map(p, [](float x) { return fast_mish(x); });
    case UnaryFunction::kElu:
      return map(p, [alpha](float x) { return fast_elu(x, alpha); });
    case UnaryFunction::kHardSigmoid:
      return map(p, [alpha, beta = p.beta](float x) { return hard_sigmoid(x, alpha, beta); });
    case UnaryFunction::kHardSwish:
      return map(p, [](float x) { return hard_swish(x); });
  }
}

}  // namespace
}  // namespace dwindle::kernels
