// RoundedRuns: runs a float model with chosen values, and its weights if wanted, rounded as a plan
// says.
#pragma once

#include <memory>
#include <vector>

#include "core/runtime/executor.h"
#include "passes/quantize/plan.h"

namespace dwindle::passes {

enum class Weights { kRounded, kFloat };

class RoundedRuns {
 public:
  virtual ~RoundedRuns() = default;
  // Runs from now on round `values` and no others: none before the first call.
  virtual void round(const std::vector<const Value*>& values) = 0;
  virtual TensorMap run(const TensorMap& feeds) = 0;
};

// In a FloatExecutor, which rounds values as they are computed. Raises Unsupported, at once or in a
// run, where the operator table ends. `plan` outlives what is returned; so below.
std::unique_ptr<RoundedRuns> runs_in_float_executor(const Model& model, const Plan& plan,
                                                    Weights weights = Weights::kRounded);

// In any executor: of a copy of the model in which each of `values` goes through a QuantizeLinear
// and a DequantizeLinear, or past them where an input of the copy says so. Values of nested graphs
// are never rounded.
std::unique_ptr<RoundedRuns> runs_of_switched_copy(const Model& model, const Plan& plan,
                                                   const std::vector<const Value*>& values,
                                                   const MakeExecutor& executors,
                                                   Weights weights = Weights::kRounded);

}  // namespace dwindle::passes
