// Factories of the quantization passes, for the registry.
#pragma once

#include "passes/pass.h"

namespace dwindle::passes {

PassRow quantize_static_row();
PassRow quantize_weights_row();

}  // namespace dwindle::passes
