// raise-opset: brings a model of an older ai.onnx version to a newer one by rewriting the ops whose
// form or meaning changed in between: attributes that became inputs (axes, pads, bounds, …), ops
// that were replaced (Upsample, Scatter), defaults that are others (Softmax, RoiAlign).
//
// The conversions are rows of a table (conversion.h). Nested graphs are converted, and local
// functions, each from the version that it imports. A node that has no newer form is an error that
// names it; nodes of other domains and ops that ai.onnx never had stay as they are. Does nothing
// where the model and its functions are of that version already, or newer. The IR version is
// raised to the one that came with the operator set.
#include <algorithm>

#include "core/ops/infer.h"
#include "core/support/error.h"
#include "passes/convert/conversion.h"
#include "passes/convert/passes.h"

namespace dwindle::passes {
namespace {

constexpr int64_t kLeastSource = 7;

// What onnx.helper.VERSION_TABLE has. Never under 4, the first in which constants need not be graph
// inputs.
int64_t ir_version_of(int64_t opset) {
  struct Step {
    int64_t opset, ir_version;
  };
  constexpr Step kSteps[] = {{28, 14}, {25, 13}, {24, 12}, {23, 11}, {21, 10}, {19, 9},
                             {15, 8},  {12, 7},  {11, 6},  {10, 5},  {0, 4}};
  return std::find_if(std::begin(kSteps), std::end(kSteps),
                      [&](const Step& step) { return step.opset <= opset; })
      ->ir_version;
}

// The version of ai.onnx to convert from, where `opsets` has one under `target`.
std::optional<int64_t> older(const std::map<std::string, int64_t>& opsets, int64_t target) {
  const auto imported = opsets.find("");
  if (imported == opsets.end() || imported->second >= target) return std::nullopt;
  if (imported->second < kLeastSource) {
    throw Unsupported("opset " + std::to_string(imported->second) + "; versions from " +
                      std::to_string(kLeastSource) + " on are converted");
  }
  return imported->second;
}

class RaiseOpset : public Pass {
 public:
  explicit RaiseOpset(int64_t target) : target_(target) {}

  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    int64_t rewritten = 0;
    if (const auto from = older(model.opsets, target_)) {
      infer_shapes(model);
      rewritten += raise(model, *model.graph, *from, /*in_function=*/false);
      model.opsets[""] = target_;
      result.changed = true;
      result.notes.push_back("opset " + std::to_string(*from) + " → " + std::to_string(target_));
    }
    for (Function& function : model.functions) {
      const auto from = older(function.opsets, target_);
      if (!from) continue;
      rewritten += raise(model, *function.graph, *from, /*in_function=*/true);
      function.opsets[""] = target_;
      result.changed = true;
    }
    if (!result.changed) {
      const auto imported = model.opsets.find("");
      result.notes.push_back("nothing to raise to opset " + std::to_string(target_) +
                             (imported == model.opsets.end()
                                  ? std::string(": the model has none of ai.onnx")
                                  : ": the model is of opset " + std::to_string(imported->second)));
      return result;
    }
    result.counts["nodes rewritten"] = rewritten;
    model.ir_version = std::max(model.ir_version, ir_version_of(target_));
    infer_shapes(model);
    return result;
  }

 private:
  // Nodes that were rewritten. What a conversion adds is in its last form already, so only the
  // nodes that were there are looked at, inner graphs first.
  int64_t raise(const Model& model, Graph& graph, int64_t from, bool in_function) {
    int64_t rewritten = 0;
    const std::vector<Node*> nodes(graph.nodes().begin(), graph.nodes().end());
    for (Node* node : nodes) {
      for (Graph* nested : node->nested_graphs()) {
        rewritten += raise(model, *nested, from, in_function);
      }
      if (!node->domain.empty() || next_conversion(node->op_type, from, target_) == nullptr ||
          model.function_of(*node) != nullptr) {
        continue;
      }
      raise(*node, from, in_function);
      ++rewritten;
    }
    graph.sweep();
    return rewritten;
  }

  // One node, version by version.
  void raise(Node& node, int64_t from, bool in_function) {
    const std::string prefix = node.op_type + " node '" + node.name + "': ";
    int64_t at = from;
    while (const Conversion* next = next_conversion(node.op_type, at, target_)) {
      try {
        next->convert({node, target_, in_function});
      } catch (const Unsupported& error) {
        std::string why = error.what();
        if (why.starts_with(prefix)) why.erase(0, prefix.size());
        throw Unsupported(prefix + "cannot be brought from opset " + std::to_string(from) + " to " +
                          std::to_string(next->version) + ": " + why);
      }
      at = next->version;
    }
  }

  int64_t target_;
};

}  // namespace

PassRow raise_opset_row() {
  return {"raise-opset",
          "Bring a model of an older ai.onnx version to a newer one",
          {{"opset",
            int64_t{13},
            "version to reach",
            {},
            {.least = kLeastSource, .most = kNewestOpset}}},
          [](const Options& options) -> std::unique_ptr<Pass> {
            return std::make_unique<RaiseOpset>(options.get<int64_t>("opset"));
          }};
}

}  // namespace dwindle::passes
