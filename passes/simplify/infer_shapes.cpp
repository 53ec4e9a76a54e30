// infer-shapes: writes down the types of all values as far as they can be known.
//
// For tools that read types from the file. Other passes do not need it: they infer what they use.
// Does nothing where the file says it all. Local functions have no types to write.
#include "core/ops/infer.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

struct InferShapes : Pass {
  PassResult run(Model& model, PassContext&) override {
    std::vector<std::pair<Value*, ValueType>> before;
    for_each_graph(*model.graph, [&](Graph& graph) {
      for (Value* value : graph.values()) before.emplace_back(value, value->type);
    });
    infer_shapes(model);
    PassResult result;
    int64_t& values = result.counts["values"];
    for (auto& [value, type] : before) {
      const bool learned = !(value->type == type);
      const bool intermediate = value->producer() != nullptr && !value->is_graph_output();
      const bool undeclared = intermediate && !value->declared && value->type != ValueType();
      if (undeclared) value->declared = true;
      if (learned || undeclared) ++values;
    }
    result.changed = values > 0;
    return result;
  }
};

}  // namespace

std::unique_ptr<Pass> make_infer_shapes(const Options&) { return std::make_unique<InferShapes>(); }

}  // namespace dwindle::passes
