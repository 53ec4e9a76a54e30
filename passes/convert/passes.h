// Factories of the conversion passes, for the registry.
#pragma once

#include <cstdint>

#include "passes/pass.h"

namespace dwindle::passes {

// Of ai.onnx, whose ops are known.
inline constexpr int64_t kNewestOpset = 28;

PassRow expand_attention_row();
PassRow raise_opset_row();
PassRow widen_halves_row();
PassRow widen_resize_axes_row();

}  // namespace dwindle::passes
