// One node on given tensors, without a graph around it.
#pragma once

#include <optional>
#include <vector>

#include "core/ops/op.h"

namespace dwindle {

// Runs `node`'s kernel in version `opset` of its operator set on one tensor an input (undefined
// where omitted). Returns one tensor an output, undefined where the node omits it; nothing where
// the operator table has no kernel, the node has nested graphs, or the kernel does not make all
// outputs or makes a sequence. Raises what the kernel raises.
std::optional<std::vector<Tensor>> run_node(const Node& node, int opset,
                                            const std::vector<Tensor>& inputs);

}  // namespace dwindle
