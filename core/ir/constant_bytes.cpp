#include "core/ir/constant_bytes.h"

namespace dwindle {

size_t constant_bytes(const Model& model) {
  size_t bytes = 0;
  for_each_graph(*model.graph, [&](Graph& graph) {
    for (const Value* value : graph.values()) {
      if (const Tensor* constant = value->constant()) bytes += constant->nbytes();
    }
  });
  return bytes;
}

}  // namespace dwindle
