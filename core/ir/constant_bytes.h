// How much of a model is weights and other constants.
#pragma once

#include <cstddef>

#include "core/ir/model.h"

namespace dwindle {

// Bytes of all constants in graphs, nested ones' too: initializers and what Constant nodes hold.
// Sparse tensors and the bodies of local functions are not counted.
size_t constant_bytes(const Model& model);

}  // namespace dwindle
