// Pipeline: runs a list of passes over a model; verifies, prints and times after each on request.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "passes/pass.h"
#include "passes/recipe.h"

namespace dwindle::passes {

struct PipelineOptions {
  bool verify = true;             // check the model after each pass; an error names the pass
  std::ostream* print = nullptr;  // print the model after each pass that changed it
};

struct PassReport {
  std::string pass;
  PassResult result;
  double seconds = 0;
};

// Runs the recipe's passes in order, once the options of all have been checked (BadOption). An
// error says what the pass says of the node, then names the pass and the one before it. The model
// is then in an unspecified but destructible state. A pass that finds that an output has another
// shape than the file declares has a note of it.
std::vector<PassReport> run_recipe(Model& model, const Recipe& recipe, PassContext& context,
                                   const PipelineOptions& options = {});

}  // namespace dwindle::passes
