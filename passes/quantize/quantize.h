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
  int64_t samples = 32;  // of the data that the models are run on beside each other
  size_t worst = 5;      // nodes that lose most to list
  // In [0, 1]: the share of samples whose top class may change; all samples are run then.
  std::optional<double> max_drop;
};

struct ProvenResult {
  std::vector<PassReport> passes;
  std::optional<Quality> quality;  // none where no pass used calibration data
  bool within_bound = true;        // whether max_drop holds
};

// Runs a recipe that needs calibration data, and compares the result with the model as it was. The
// first feeds are kept for that, so `data` need not be able to rewind unless max_drop asks for all.
// Raises BadData where it cannot but should, BadOption where max_drop is no share, and Unsupported
// where it is given but no output has classes (see top_classes): before the data is run where the
// shapes tell, else at the end.
ProvenResult run_with_calibration(Model& model, const Recipe& recipe, Dataset& data,
                                  const ProofOptions& options, Progress* progress);

}  // namespace dwindle::passes
