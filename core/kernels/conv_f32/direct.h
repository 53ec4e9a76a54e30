// Convolution whose product reads the padded input where it lies.
//
// The columns of the product are positions of the padded input, one after another: for every tap a
// row of B is then contiguous, and no patches are copied. Positions at the ends of padded rows
// belong to no output; they are computed and left out.
#pragma once

#include "core/kernels/conv_f32/padded_input.h"

namespace dwindle::kernels {

// Whether this is the faster way, and not to copy patches: where few filters use each of them.
bool direct_pays_f32(const PaddedLayoutF32& layout);

// One group of one image.
void direct_conv_f32(const PaddedInputF32& input, int64_t image, int64_t group);

}  // namespace dwindle::kernels
