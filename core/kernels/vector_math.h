// exp, tanh, erf and what follows from them, without branches, calls or tables: loops over them are
// vectorized, and since every step is one IEEE operation, an element's result does not depend on
// whether it was in a vector. The polynomials are minimax fits made for this file; errors are of
// float's own size (see tests/core/kernels/vector_math_test.cpp).
//
// All are static: files that are compiled for newer processors have copies of their own.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace dwindle {

static inline double fast_exp(double x) { return std::exp(x); }
static inline double fast_tanh(double x) { return std::tanh(x); }
static inline double fast_erf(double x) { return std::erf(x); }

// e^x = 2^n · e^r with n whole and |r| <= ln 2 / 2. 2^n is multiplied on in two halves, so that
// results that are subnormal or infinite come out right.
static inline float fast_exp(float x) {
  x = x > 89.0f ? 89.0f : x;
  x = x < -104.0f ? -104.0f : x;
  constexpr float kToWhole = 12582912.0f;  // 1.5 · 2^23: adding it leaves a whole number
  const float shifted = x * 1.44269504f + kToWhole;
  const float n = shifted - kToWhole;
  // ln 2 in two parts, the first with so few bits that n times it is exact.
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 0.00139421611f;
  p = p * r + 0.00836377614f;
  p = p * r + 0.0416663635f;
  p = p * r + 0.166665734f;
  p = p * r + 0.500000003f;
  p = p * (r * r) + r + 1.0f;
  const int32_t power =
      static_cast<int32_t>(std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(kToWhole));
  const int32_t half = power >> 1;
  const uint32_t low = static_cast<uint32_t>(half) + 127u;
  const uint32_t high = static_cast<uint32_t>(power) - static_cast<uint32_t>(half) + 127u;
  return p * std::bit_cast<float>(low << 23) * std::bit_cast<float>(high << 23);
}

template <typename T>
static inline T fast_sigmoid(T x) {
  return T{1} / (T{1} + fast_exp(-x));
}

template <typename T>
static inline T fast_swish(T x, T alpha) {
  return x * fast_sigmoid(alpha * x);
}

template <typename T>
static inline T fast_elu(T x, T alpha) {
  const T below = alpha * (fast_exp(x) - T{1});
  return x < 0 ? below : x;
}

// tanh(ln(1 + e)) = (e² + 2e) / (e² + 2e + 2); for large x it is 1 and e² would overflow.
template <typename T>
static inline T fast_mish(T x) {
  const T e = fast_exp(x > 20 ? T{20} : x);
  const T n = e * (e + T{2});
  return x * (n / (n + T{2}));
}

// Near zero an odd polynomial, so that small numbers keep their relative precision; beyond it
// 1 - 2 / (e^2|x| + 1).
static inline float fast_tanh(float x) {
  const float a = std::fabs(x);
  const float z = x * x;
  float p = -0.00611315175f;
  p = p * z + 0.021010047f;
  p = p * z - 0.0538540599f;
  p = p * z + 0.133327944f;
  p = p * z - 0.333333292f;
  const float near = x + x * z * p;
  const float far = std::copysign(1.0f - 2.0f / (fast_exp(2.0f * a) + 1.0f), x);
  return a < 0.625f ? near : far;
}

// Near zero an odd polynomial; beyond it 1 - e^-q(|x|) with q fitted to -ln erfc.
static inline float fast_erf(float x) {
  const float a = std::fabs(x);
  const float z = x * x;
  float p = 7.88911956e-05f;
  p = p * z - 0.000802084129f;
  p = p * z + 0.00518953534f;
  p = p * z - 0.0268544446f;
  p = p * z + 0.112836002f;
  p = p * z - 0.376126271f;
  p = p * z + 1.12837917f;
  const float near = x * p;
  const float b = a > 4.0f ? 4.0f : a;
  float q = 1.33454743e-05f;
  q = q * b - 0.00031818949f;
  q = q * b + 0.00344124875f;
  q = q * b - 0.0226386441f;
  q = q * b + 0.103355528f;
  q = q * b + 0.639047164f;
  q = q * b + 1.12595697f;
  q = q * b + 0.000748414925f;
  const float far = std::copysign(1.0f - fast_exp(-q), x);
  return a < 1.0f ? near : far;
}

// x · Φ(x), exactly and by the approximation of Hendrycks and Gimpel (2016).
template <typename T>
static inline T fast_gelu(T x) {
  return T(0.5) * x * (T{1} + fast_erf(x * T(0.7071067811865476)));
}

template <typename T>
static inline T fast_gelu_tanh(T x) {
  const T inner = T(0.7978845608028654) * (x + T(0.044715) * x * x * x);
  return T(0.5) * x * (T{1} + fast_tanh(inner));
}

// Written so that NaN stays NaN.
template <typename T>
static inline T hard_sigmoid(T x, T alpha, T beta) {
  const T y = alpha * x + beta;
  const T low = y < 0 ? T{0} : y;
  return low > 1 ? T{1} : low;
}

template <typename T>
static inline T hard_swish(T x) {
  return x * hard_sigmoid(x, static_cast<T>(1.0f / 6.0f), T(0.5));
}

}  // namespace dwindle
