// Scheme: how to quantize, read from the options of a pass and its target.
#pragma once

#include <string>
#include <vector>

#include "core/quant/observer.h"
#include "passes/pass.h"
#include "passes/quantize/parameters.h"

namespace dwindle::passes {

// The versions that hold what a scheme writes.
struct LeastVersions {
  int64_t opset, ir;
};

struct Target;

struct Scheme {
  const Target* target = nullptr;
  bool activations = true;  // false: weights alone
  ObserverOptions observer;
  WeightOptions weights;
  bool integer_bias = true;
  bool correct_bias = true;
  double least_sqnr = 0;         // dB; nodes (weights alone: weights) below stay in float
  double least_output_sqnr = 0;  // dB; below, values that cost most stay in float
  std::string calib_cache;       // file; empty: none

  LeastVersions least_versions() const;
};

// The options that both quantization passes have.
std::vector<OptionSpec> weight_option_specs();
// Those of quantize-static besides.
std::vector<OptionSpec> activation_option_specs();

// Raises BadOption where options contradict each other or the target.
Scheme read_weight_scheme(const Options& options);
Scheme read_static_scheme(const Options& options);

}  // namespace dwindle::passes
