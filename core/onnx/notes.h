// What exporters note for people on the parts of a model: doc strings and metadata, such as the
// stack trace of the line of Python that each node comes from.
#pragma once

#include <cstddef>

#include "core/ir/model.h"

namespace dwindle {

// Drops them from nodes, from values inside and constants of all graphs and functions, and the
// metadata of graphs, and returns how many bytes of the file that frees. What the model says of
// itself and of its inputs and outputs stays, and so do doc strings of graphs and functions.
size_t drop_notes(Model& model);

}  // namespace dwindle
