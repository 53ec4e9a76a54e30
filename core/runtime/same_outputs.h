// Does a changed model still compute what it did? Asked by running both on random inputs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/ir/model.h"
#include "core/runtime/executor.h"

namespace dwindle {

struct SameOutputsOptions {
  int runs = 2;  // random feeds tried, each with its own seed
  uint64_t seed = 1;
  // Largest error of a float or double output, relative to the largest magnitude in the original's
  // output of that run. float16 and bfloat16 outputs are held to 2^-6; others must be equal.
  double tolerance = 1e-4;
  MakeExecutor executors = make_float_executor;
};

// How far one output is from the original's, the worst of all runs.
struct OutputDifference {
  std::string name;
  double max_absolute = 0;
  double max_relative = 0;  // to the largest magnitude in the original's output
  bool same = true;         // within the tolerance, with the same dtype and shape
  std::string what;         // where not: what differs
};

struct SameOutputs {
  std::vector<OutputDifference> outputs;  // in the order of the original's graph outputs
  bool same = true;                       // all of them
  bool random = false;  // the model holds random ops: only dtypes and shapes were compared

  // One line: the largest relative error, or what differs.
  std::string summary() const;
};

// Runs both models on the same random feeds; what no output needs is left out. Raises what the
// original raises where it runs on none of the feeds tried; what the changed model raises is a
// difference of all outputs.
SameOutputs same_outputs(const Model& original, const Model& changed,
                         const SameOutputsOptions& options = {});

// The same, for those who promise it: an error is raised as Unsupported or Error that says that the
// result cannot be checked, and `otherwise`: how to do without.
SameOutputs checked_same_outputs(const Model& original, const Model& changed,
                                 const std::string& otherwise,
                                 const SameOutputsOptions& options = {});

// What random_feeds() draws where the model does not say.
struct FeedChoice {
  int64_t first_extent = 2;  // of an unknown first axis
  int64_t extent = 16;       // of any other unknown axis
  int64_t integers = 8;      // integers are in [0, integers)
  // Unnamed unknown axes of all inputs but the first that has one count as first axes: beside a
  // signal, a state has its batch in any place.
  bool one_signal = false;
  std::map<std::string, int64_t> named = {};  // extents of axes of these names, before all that
};

// One tensor a graph input without initializer: floats normal with mean 0 and deviation 1, bools by
// a fair coin. Axes of the same name get the same extent. The same seed gives the same feeds
// everywhere. Raises Unsupported for inputs that are no numeric tensors of known rank.
TensorMap random_feeds(const Model& model, uint64_t seed, const FeedChoice& choice = {});

// The feeds that `model` runs on, of several choices of extents and integers; nothing is known
// of what an id or a mask may be, so it is tried. Raises what the model raises on the first choice
// where it runs on none. `outputs`, where not null, takes what the model made of them.
TensorMap runnable_feeds(const Model& model, Executor& executor, uint64_t seed,
                         TensorMap* outputs = nullptr);

}  // namespace dwindle
