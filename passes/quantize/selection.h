// Selection: which nodes the options of a quantization pass keep in float.
#pragma once

#include <string>
#include <vector>

#include "core/ir/model.h"
#include "passes/pass.h"
#include "passes/quantize/placement.h"

namespace dwindle::passes {

std::vector<OptionSpec> selection_option_specs();

struct Selection {
  KeptFloat kept;
  std::vector<std::string> notes;
};

// Reads op-types, include, exclude and first-last. `original` is the model before simplify, whose
// names people know; may be null. Raises BadOption, with the nearest names, where a pattern or an
// op type matches nothing.
Selection select_nodes(const Model& model, const Model* original, const Options& options);

}  // namespace dwindle::passes
