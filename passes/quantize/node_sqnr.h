// What quantization costs each node by itself.
#pragma once

#include <unordered_map>
#include <vector>

#include "core/data/dataset.h"
#include "core/ir/model.h"
#include "core/runtime/executor.h"
#include "passes/quantize/plan.h"

namespace dwindle::passes {

// The SQNR in dB of the first output of each node in plan.placement.nodes, where its inputs and
// weights are quantized as planned and all before it is in float; infinite where it loses nothing.
// Nodes that no feed reaches, and those whose zeros would become other numbers, have none.
std::unordered_map<const Node*, double> node_sqnr(const Model& model, const Plan& plan,
                                                  const std::vector<Feed>& feeds,
                                                  const MakeExecutor& executors);

}  // namespace dwindle::passes
