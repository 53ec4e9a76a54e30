// Activation functions of float32 values, one by one: y = f(x).
//
// The formulas are those of core/kernels/vector_math.h, whose errors are of float's own size.
#pragma once

#include <cstdint>
#include <span>

#include "core/kernels/cpu.h"

namespace dwindle::kernels {

enum class UnaryFunction {
  kExp,      // e^(x - alpha): of a softmax, whose largest element is alpha
  kSigmoid,  // 1 / (1 + e^-x)
  kSwish,    // x / (1 + e^(-alpha * x))
  kTanh,
  kErf,
  kGelu,         // x * (1 + erf(x / sqrt 2)) / 2
  kGeluTanh,     // the same by a tanh
  kMish,         // x * tanh(ln(1 + e^x))
  kElu,          // alpha * (e^x - 1) below 0, x above
  kHardSigmoid,  // alpha * x + beta, between 0 and 1
  kHardSwish,    // x * (x / 6 + 1/2), the second factor between 0 and 1
};

struct UnaryF32 {
  UnaryFunction function;
  const float* x = nullptr;
  int64_t count = 0;
  float alpha = 0, beta = 0;  // where the function has them
  float* y = nullptr;         // may be x
};

using UnaryF32Fn = void (*)(const UnaryF32&) noexcept;

// Best first.
std::span<const Variant<UnaryF32Fn>> unary_f32_variants();

// On the calling thread, with the variant that this CPU and DWINDLE_ISA pick.
void unary_f32(const UnaryF32& args);

// args.function of `rows` rows of `count` values, `ld` floats apart, in their place; the x, y and
// count of `args` do not count. For kernels that apply a function to what they have just written.
void unary_rows_f32(const UnaryF32& args, float* values, int64_t rows, int64_t count, int64_t ld);

}  // namespace dwindle::kernels
