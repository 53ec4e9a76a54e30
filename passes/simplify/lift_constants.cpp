// lift-constants: turns Constant nodes into initializers.
//
// Runtimes and the other passes then meet one kind of constant, and weights show as such.
//
// Does nothing for a Constant that is a graph output (an initializer there is read by few runtimes)
// and for sparse ones.
#include "core/runtime/run_node.h"
#include "passes/simplify/rewrite.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

struct LiftConstants : Pass {
  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    int64_t& constants = result.counts["constants"];
    for_each_node(*model.graph, [&](Node& node) {
      if (!is_op(model, node, "Constant") || node.attribute("sparse_value") != nullptr) return;
      Value& old = *node.output();
      if (old.is_graph_output()) return;
      const auto tensors = run_node(node, opset_or_zero(model, node), {});
      if (!tensors) return;
      Value* constant = add_constant(model, *node.graph(), old.name(), tensors->front());
      node.graph()->replace(&old, constant);
      take_name(old, *constant);
      node.graph()->erase(&node);
      ++constants;
    });
    result.changed = constants > 0;
    return result;
  }
};

}  // namespace

std::unique_ptr<Pass> make_lift_constants(const Options&) {
  return std::make_unique<LiftConstants>();
}

}  // namespace dwindle::passes
