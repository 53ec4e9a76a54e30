// The matrix of input patches that turns a convolution into a product, made block by block.
//
// Row (channel, tap) and column (output position), both row-major, hold the input value that the
// tap sees at that position, 0 outside the input. Every part of a row of the matrix that belongs to
// one row of the output is a plain copy from the padded input.
#pragma once

#include <cstdint>

#include "core/kernels/conv_f32/padded_input.h"

namespace dwindle::kernels {

// Writes rows [k0, k1) of columns [n0, n1) of the matrix to `to`, rows `ld` floats apart, and up to
// kFillOvershootF32 floats more: at most kGemmF32PanelWidth columns at a time.
void fill_patches_f32(const PaddedInputF32& input, int64_t k0, int64_t k1, int64_t n0, int64_t n1,
                      float* to, int64_t ld);

}  // namespace dwindle::kernels
