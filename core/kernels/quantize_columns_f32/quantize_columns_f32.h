// Float weights to integers, each column of a matrix at a scale of its own, with the scale chosen.
//
//   full  = max(min(0, x) / low, max(0, x) / high) over the column; 1 where the column is 0
//   scale = max(full * shares[i], least_scale) for the i of the least error, the first of equals
//   q     = round_half_even(clamp(x / scale, low, high))
//
// The error of a candidate is the sum over the rows, first to last, of (clamped, rounded t - t)^2,
// t = x * (1 / scale), times shares[i]^2, each step one fused multiply-add: all variants give the
// same bits. With one share no error is measured.
#pragma once

#include <cstdint>
#include <span>

#include "core/kernels/cpu.h"

namespace dwindle::kernels {

inline constexpr int kQuantizedColumns = 32;  // of one call

struct QuantizeColumnsF32Params {
  const float* x;  // [rows, kQuantizedColumns], aligned to 64 bytes
  int64_t rows;
  float low, high;      // the least and greatest integer; low < 0 < high, of int8 at most
  const float* shares;  // [candidates], in (0, 1]
  int candidates;
  float least_scale;
  int8_t* q;      // [rows, kQuantizedColumns], aligned to 64 bytes
  float* scale;   // [kQuantizedColumns]
  float* signal;  // [kQuantizedColumns]: the sum of t^2, t = x / scale. NaN where the column holds
                  // a NaN or an infinity, and finite for all others
  float* noise;   // [kQuantizedColumns]: the sum of (q - t)^2
};

using QuantizeColumnsF32Fn = void (*)(const QuantizeColumnsF32Params&) noexcept;

// Best first.
std::span<const Variant<QuantizeColumnsF32Fn>> quantize_columns_f32_variants();

}  // namespace dwindle::kernels
