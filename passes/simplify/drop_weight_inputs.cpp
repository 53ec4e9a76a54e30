// drop-weight-inputs: makes weights that are listed as graph inputs constants.
//
// Before IR version 4 every initializer had to be a graph input as well, though no runtime lets a
// caller override it there. Nothing can be folded into such weights until they are constants. The
// IR version becomes 4.
//
// Does nothing from IR version 4 on, where a graph input with an initializer is a default that the
// caller may override on purpose; with `all` it takes those too. Nested graphs have no such inputs.
#include <algorithm>

#include "core/support/list_names.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

class DropWeightInputs : public Pass {
 public:
  explicit DropWeightInputs(bool all) : all_(all) {}

  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    if (model.ir_version >= 4 && !all_) return result;
    Graph& graph = *model.graph;
    int64_t& inputs = result.counts["inputs"];
    const bool optional = model.ir_version >= 4;
    std::vector<std::string> names;
    for (size_t i = graph.inputs().size(); i-- > 0;) {
      const Value* input = graph.inputs()[i];
      if (input->initializer() == nullptr && input->sparse_initializer() == nullptr) continue;
      names.push_back(input->name());
      graph.remove_input(i);
      ++inputs;
    }
    result.changed = inputs > 0;
    if (optional && inputs > 0) {
      std::ranges::reverse(names);  // inputs went from the last one to the first
      result.notes.push_back("inputs with a default are constants now, which nobody can feed: " +
                             list_names(names));
    }
    if (result.changed) model.ir_version = std::max<int64_t>(model.ir_version, 4);
    return result;
  }

 private:
  bool all_;
};

}  // namespace

std::unique_ptr<Pass> make_drop_weight_inputs(const Options& options) {
  return std::make_unique<DropWeightInputs>(options.get<bool>("all"));
}

}  // namespace dwindle::passes
