// verify: is this Model one that an ONNX runtime would take?
#pragma once

#include <string>
#include <vector>

#include "core/ir/model.h"

namespace dwindle {

// All that is wrong with the model, one line each, naming the graph, node and value: values used
// before they are defined, or that nothing defines; values defined twice; name clashes, with outer
// graphs too; dtypes and sizes that do not match the bytes; broken use-lists; missing operator set
// imports; local functions that call themselves. Empty: valid.
std::vector<std::string> find_faults(const Model& model);

// Raises BadModel with the first faults where there are any.
void verify(const Model& model);

}  // namespace dwindle
