// inline-functions: puts the bodies of local functions where they are called.
//
// Exporters wrap whole layers in functions; no other pass, and few runtimes, optimize across them.
// Where functions and model import different versions of ai.onnx, all are brought to the newest
// first (raise-opset).
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
    result.notes = raise_to_newest(model, context);
    result.changed = !model.functions.empty();
    InlineResult inlined = inline_functions(model);
    result.counts["calls"] = inlined.calls;
    std::ranges::move(inlined.notes, std::back_inserter(result.notes));
    return result;
  }

 private:
  // Returns what a person should know of it.
  static std::vector<std::string> raise_to_newest(Model& model, PassContext& context) {
    if (model.functions.empty()) return {};
    std::vector<int64_t> versions;
    if (const auto own = model.opsets.find(""); own != model.opsets.end()) {
      versions.push_back(own->second);
    }
    for (const Function& function : model.functions) {
      const auto imported = function.opsets.find("");
      if (imported != function.opsets.end()) versions.push_back(imported->second);
    }
    std::ranges::sort(versions);
    if (versions.empty() || versions.front() == versions.back()) return {};
    return make_pass("raise-opset", {{"opset", versions.back()}})->run(model, context).notes;
  }
};

}  // namespace

std::unique_ptr<Pass> make_inline_functions(const Options&) {
  return std::make_unique<InlineFunctions>();
}

}  // namespace dwindle::passes
