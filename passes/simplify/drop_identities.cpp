// drop-identities: drops Identity, and Dropout as it is in inference.
//
// Does nothing where the node gives a graph output its name (a graph input or a constant passed on,
// one value under two names), for a Dropout whose mask is read or that may be in training mode, and
// for Dropout before opset 7, which could be.
#include "passes/simplify/rewrite.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

bool is_inference_dropout(const Model& model, const Node& node) {
  if (!is_op(model, node, "Dropout", 7)) return false;
  if (node.output(1) != nullptr && !node.output(1)->unused()) return false;
  if (node.input(2) == nullptr) return true;
  const Tensor* training = node.input(2)->constant();
  return training != nullptr && training->size() == 1 && to_int64s(*training)[0] == 0;
}

struct DropIdentities : Pass {
  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    int64_t& dropped = result.counts["dropped"];
    for_each_node(*model.graph, [&](Node& node) {
      if (!is_op(model, node, "Identity") && !is_inference_dropout(model, node)) return;
      if (node.input(0) == nullptr || !bypass(*node.output(), *node.input(0))) return;
      node.graph()->erase(&node);
      ++dropped;
    });
    result.changed = dropped > 0;
    return result;
  }
};

}  // namespace

std::unique_ptr<Pass> make_drop_identities(const Options&) {
  return std::make_unique<DropIdentities>();
}

}  // namespace dwindle::passes
