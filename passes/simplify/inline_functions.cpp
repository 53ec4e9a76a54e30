// inline-functions: puts the bodies of local functions where they are called.
//
// Exporters wrap whole layers in functions; no other pass, and few runtimes, optimize across them.
// Does nothing where the model has no functions.
#include "core/ir/inline_functions.h"

#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

struct InlineFunctions : Pass {
  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    result.changed = !model.functions.empty();
    InlineResult inlined = inline_functions(model);
    result.counts["calls"] = inlined.calls;
    result.notes = std::move(inlined.notes);
    return result;
  }
};

}  // namespace

std::unique_ptr<Pass> make_inline_functions(const Options&) {
  return std::make_unique<InlineFunctions>();
}

}  // namespace dwindle::passes
