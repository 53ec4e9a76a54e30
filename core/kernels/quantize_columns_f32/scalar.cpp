// The definition that every other variant repeats bit for bit.
#include <cmath>

#include "core/kernels/quantize_columns_f32/quantize_columns_f32.h"

namespace dwindle::kernels {
namespace {

constexpr int kColumns = kQuantizedColumns;

// Rounds half to even what is below 2^22: the sum has no bits for the fraction.
constexpr float kRound = 12582912.0f;

float rounded(const QuantizeColumnsF32Params& p, float t) {
  t = t > p.low ? t : p.low;
  t = t < p.high ? t : p.high;
  return (t + kRound) - kRound;
}

float full_scale(const QuantizeColumnsF32Params& p, int column) {
  float least = 0, greatest = 0;
  for (int64_t r = 0; r < p.rows; ++r) {
    const float x = p.x[r * kColumns + column];
    least = x < least ? x : least;
    greatest = x > greatest ? x : greatest;
  }
  const float below = least / p.low, above = greatest / p.high;
  const float full = below > above ? below : above;
  return full > 0 ? full : 1.0f;
}

float candidate_scale(const QuantizeColumnsF32Params& p, float full, int candidate) {
  const float scale = full * p.shares[candidate];
  return scale > p.least_scale ? scale : p.least_scale;
}

float error_at(const QuantizeColumnsF32Params& p, int column, float scale) {
  const float per_unit = 1.0f / scale;
  float error = 0;
  for (int64_t r = 0; r < p.rows; ++r) {
    const float x = p.x[r * kColumns + column];
    const float lost = std::fma(-x, per_unit, rounded(p, x * per_unit));
    error = std::fma(lost, lost, error);
  }
  return error;
}

float best_scale(const QuantizeColumnsF32Params& p, int column) {
  const float full = full_scale(p, column);
  float best = candidate_scale(p, full, 0);
  if (p.candidates == 1) return best;
  float least_error = 0;
  for (int i = 0; i < p.candidates; ++i) {
    const float scale = candidate_scale(p, full, i);
    const float error = error_at(p, column, scale) * (p.shares[i] * p.shares[i]);
    if (i > 0 && !(error < least_error)) continue;
    least_error = error;
    best = scale;
  }
  return best;
}

}  // namespace

void quantize_columns_f32_scalar(const QuantizeColumnsF32Params& p) noexcept {
  for (int column = 0; column < kColumns; ++column) {
    const float scale = best_scale(p, column);
    float signal = 0, noise = 0;
    for (int64_t r = 0; r < p.rows; ++r) {
      const float t = p.x[r * kColumns + column] / scale;
      const float q = rounded(p, t);
      const float lost = q - t;
      p.q[r * kColumns + column] = static_cast<int8_t>(static_cast<int32_t>(q));
      signal = std::fma(t, t, signal);
      noise = std::fma(lost, lost, noise);
    }
    p.scale[column] = scale;
    p.signal[column] = signal;
    p.noise[column] = noise;
  }
}

}  // namespace dwindle::kernels
