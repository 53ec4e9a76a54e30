// Least and greatest of float32 values, and whether all of them are finite.
#pragma once

#include <cstdint>
#include <span>

#include "core/kernels/cpu.h"

namespace dwindle::kernels {

struct MinMaxF32 {
  float min, max;  // +infinity and -infinity of no values; a zero is +0
  bool finite;     // where false, min and max mean nothing
};

using MinMaxF32Fn = MinMaxF32 (*)(const float* values, int64_t count) noexcept;

// Best first.
std::span<const Variant<MinMaxF32Fn>> min_max_f32_variants();

// The variant that this CPU and DWINDLE_ISA pick. One thread.
MinMaxF32 min_max_f32(const float* values, int64_t count);

}  // namespace dwindle::kernels
