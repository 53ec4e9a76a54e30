// The checks that every pass must stand.
#pragma once

#include <map>
#include <string>

#include "core/ir/model.h"
#include "passes/pass.h"

namespace dwindle::testing {

using PassOptions = std::map<std::string, passes::OptionValue>;

// Runs the pass `name` on `before` and expects the model `after`: equal text dumps (the order of
// constants aside), a valid model, `changed` told truly, the same outputs on random inputs, and
// that a second run finds nothing left to do. Types are inferred in both models first.
void expect_pass(const Model& before, const std::string& name, const Model& after,
                 const PassOptions& options = {});

// Expects that the pass leaves `model` as it is and says so.
void expect_untouched(const Model& model, const std::string& name, const PassOptions& options = {});

// Runs the pass and checks all of the above but what the model looks like, then returns it.
Model run_checked(const Model& before, const std::string& name, const PassOptions& options = {});

// The text dump with constants sorted by name.
std::string canonical_text(const Model& model);

// Ops of the graph, without nested ones, in order: "Conv Relu Gemm".
std::string ops_of(const Graph& graph);

}  // namespace dwindle::testing
