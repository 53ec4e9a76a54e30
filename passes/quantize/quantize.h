// The quantize verb: simplify, calibrate, quantize, and prove what came out.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/data/dataset.h"
#include "passes/pipeline.h"
#include "passes/quantize/quality.h"

namespace dwindle::passes {

// The passes of `dwindle quantize`: those of simplify, then raise-opset and quantize-static with
// `options`, then a clean-up.
Recipe quantize_recipe(const std::map<std::string, OptionValue>& options);

struct ProofOptions {
  int64_t samples = 32;            // of the data that the models are run on beside each other
  size_t worst = 5;                // nodes that lose most to list
  std::optional<double> max_drop;  // in [0, 1]: of the top-1 agreement; all samples are run then
};

struct ProvenResult {
  std::vector<PassReport> passes;
  std::optional<Quality> quality;  // none where no pass used calibration data
  bool within_bound = true;        // whether max_drop holds
};

// Runs a recipe that needs calibration data, and compares the result with the model as it was. The
// first feeds are kept for that, so `data` need not be able to rewind unless max_drop asks for all.
// Raises BadData where it cannot but should.
ProvenResult run_with_calibration(Model& model, const Recipe& recipe, Dataset& data,
                                  const ProofOptions& options, Progress* progress);

}  // namespace dwindle::passes
