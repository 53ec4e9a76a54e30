// inline-functions: puts the bodies of local functions where they are called.
//
// Exporters wrap whole layers in functions; no other pass, and few runtimes, optimize across them.
// Functions of an older ai.onnx version than the model's are brought to that first (raise-opset).
// Does nothing where the model has no functions.
#include "core/ir/inline_functions.h"

#include <algorithm>

#include "passes/registry.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

struct InlineFunctions : Pass {
  PassResult run(Model& model, PassContext& context) override {
    PassResult result;
    const auto own = model.opsets.find("");
    const bool older = std::ranges::any_of(model.functions, [&](const Function& function) {
      const auto imported = function.opsets.find("");
      return own != model.opsets.end() && imported != function.opsets.end() &&
             imported->second < own->second;
    });
    if (older) make_pass("raise-opset", {{"opset", own->second}})->run(model, context);
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
