// The quantize verb: simplify, calibrate, quantize, and prove what came out.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/data/dataset.h"
#include "passes/pipeline.h"
#include "passes/quantize/quality.h"

namespace dwindle::passes {

// The passes of `dwindle quantize`: those of simplify, then raise-opset and quantize-static with
// `options`, then a clean-up. With the option activations=none, quantize-weights instead. Raises
// BadOption where the options contradict each other.
Recipe quantize_recipe(std::map<std::string, OptionValue> options);

// The pass that quantizes with these options: quantize-static or, with activations=none,
// quantize-weights. Raises BadOption where others are of activations then.
Step quantization_step(std::map<std::string, OptionValue> options);

// What the verb takes: the row of quantize-static, with activations=none.
PassRow quantize_verb_row();

bool needs_calibration(const Recipe& recipe);
// Whether a pass of this name quantizes.
bool is_quantizer(std::string_view pass);
// Whether the recipe quantizes: run_with_calibration() or run_without_data() is for it.
bool quantizes(const Recipe& recipe);

struct ProofOptions {
  int64_t samples = 16;  // of the data that the models are run on beside each other
  size_t worst = 5;      // nodes that lose most to list
  // In [0, 1]: the share of samples whose top class may change; all samples are run then.
  std::optional<double> max_drop;
  std::filesystem::path scratch = {};  // see PassContext
  bool run = true;                     // false: without data, nothing is run
};

struct ProvenResult {
  std::vector<PassReport> passes;
  std::optional<Quality> quality;  // none where no pass used calibration data
  bool within_bound = true;        // whether max_drop holds
  std::string unproven;            // where not empty: why the result was not run
};

// Runs a recipe that needs calibration data, and compares the result with the model as it was. The
// first feeds are kept for that, so `data` need not be able to rewind unless max_drop asks for all.
// Raises BadData where it cannot but should, BadOption where max_drop is no share, and Unsupported
// where it is given but no output has classes (see top_classes): before the data is run where the
// shapes tell, else at the end. `executors` run the data and the proof.
ProvenResult run_with_calibration(Model& model, const Recipe& recipe, Dataset& data,
                                  const ProofOptions& options, Progress* progress,
                                  const MakeExecutor& executors = make_float_executor);

// The same for a recipe that needs no data: compares on random inputs, where the model is small
// enough and its ops are known; says in `unproven` where not.
ProvenResult run_without_data(Model& model, const Recipe& recipe, const ProofOptions& options,
                              Progress* progress,
                              const MakeExecutor& executors = make_float_executor);

}  // namespace dwindle::passes
