// Activation functions that a layer's kernel applies as it writes: a pass over the tensor less.
#pragma once

#include <optional>

#include "core/kernels/unary_f32/unary_f32.h"
#include "core/ops/op.h"

namespace dwindle {

// What `node` computes of each float32; none where that is no function of kernels/unary_f32.
std::optional<kernels::UnaryF32> activation_of(const Node& node, int opset);

// What x * gate(x) is: Swish (SiLU) of a Sigmoid, HardSwish of a HardSigmoid with its two numbers.
std::optional<kernels::UnaryF32> gated_by(const Node& gate);

// The kernel of a function: of input 0, float32.
Kernel activation_kernel(const kernels::UnaryF32& function);

}  // namespace dwindle
