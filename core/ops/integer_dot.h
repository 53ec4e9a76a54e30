// What the ops on quantized integers share: exact products of centred integers, and their scaling
// back to 8 bits, as design and ONNX Runtime have it:
//
//   acc = sum of (a - zero_a) · (b - zero_b), in int32
//   q = saturate(round_half_even(float(acc) · m) + zero_point),   m = scale_a · scale_b / scale_y
#pragma once

#include <cstdint>
#include <vector>

#include "core/ops/op.h"

namespace dwindle {

// x - zero_point, where the zero point (of the same dtype: int8 or uint8) broadcasts to x; x itself
// where it is omitted. The difference always fits. Raises BadModel, Unsupported.
std::vector<int16_t> centred(const KernelContext& c, size_t x, size_t zero_point,
                             const Dims& zero_point_shape);

// out[i · out_row + j] = sum over l of a[i, l] · b[j, l], for i in [0, m), j in [0, n); a and b are
// row-major with rows of k. Sums wrap.
void dot_rows(const int16_t* a, const int16_t* b, int64_t m, int64_t n, int64_t k, int32_t* out,
              int64_t out_row);

// Where the sums of an op go back to 8 bits.
class Requantize {
 public:
  // Inputs `scale` and `zero_point` are of the output; both are one number. The zero point's dtype
  // is the output's. Raises BadModel, Unsupported.
  Requantize(const KernelContext& c, size_t scale, size_t zero_point);

  DType dtype() const { return dtype_; }
  float scale() const { return scale_; }
  // Writes output element `at`.
  void store(std::byte* out, int64_t at, int32_t sum, float multiplier) const;

 private:
  DType dtype_;
  float scale_;
  int32_t zero_point_;
};

// One number that input i holds as float.
float single_scale(const KernelContext& c, size_t i);

}  // namespace dwindle
