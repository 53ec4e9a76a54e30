// A deterministic text form of a Model, for tests and people.
#pragma once

#include <string>

#include "core/ir/model.h"

namespace dwindle {

// One line a node: `%y: float32[N,8] = Conv(%x, %w) {strides=[2,2]} "name"`; nested graphs
// are indented; initializers are listed with type and, where short, their elements.
std::string to_text(const Model& model);
std::string to_text(const Graph& graph);
std::string to_text(const Node& node);

}  // namespace dwindle
