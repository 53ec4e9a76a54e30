// Is a model quantized already?
#pragma once

#include <string>

#include "core/ir/model.h"

namespace dwindle::passes {

// The type of the first quantized op in the model, its nested graphs and functions: QuantizeLinear,
// DequantizeLinear, QLinear…, …Integer and their kin of other domains. Empty where there is none.
std::string quantized_op(const Model& model);

inline bool is_quantized(const Model& model) { return !quantized_op(model).empty(); }

}  // namespace dwindle::passes
