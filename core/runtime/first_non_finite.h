// Where numbers end: the node of a model whose output is the first that is not finite.
#pragma once

#include <string>
#include <vector>

#include "core/data/dataset.h"
#include "core/ir/model.h"
#include "core/runtime/executor.h"

namespace dwindle {

// Says which node makes the first NaN when `model` runs on `feeds` in turn, or the first infinity
// where there is no NaN: "Mul node 'scale' makes NaN first, in 'scaled'". Empty where all values of
// the main graph are finite or inputs are not. Raises what running raises.
std::string first_non_finite(const Model& model, const std::vector<Feed>& feeds,
                             const MakeExecutor& executors = make_float_executor);

}  // namespace dwindle
