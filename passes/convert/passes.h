// Factories of the conversion passes, for the registry.
#pragma once

#include "passes/pass.h"

namespace dwindle::passes {

PassRow expand_attention_row();
PassRow raise_opset_row();
PassRow widen_halves_row();

}  // namespace dwindle::passes
