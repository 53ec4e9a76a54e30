// drop-dead-code: drops nodes, constants and functions that no graph output needs.
//
// One walk from the last node to the first, so that a chain goes whole; a nested graph is walked
// when its node is met, which frees what it captured.
//
// Keeps nodes of domains that are not known to be free of side effects, graph inputs, and constants
// that the graph's quantization annotations name.
#include <algorithm>
#include <set>

#include "passes/simplify/rewrite.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

// All ops of these do nothing but compute their outputs.
constexpr std::string_view kPureDomains[] = {"", "ai.onnx.ml", "com.microsoft"};

class DropDeadCode : public Pass {
 public:
  PassResult run(Model& model, PassContext&) override {
    model_ = &model;
    result_ = {};
    int64_t& functions = result_.counts["functions"];
    functions = drop_functions(model);
    drop_nodes(*model.graph);
    drop_values(*model.graph);
    for (Function& function : model.functions) {
      drop_nodes(*function.graph);
      drop_values(*function.graph);
    }
    // The nodes that went may have held the last calls.
    functions += drop_functions(model);
    result_.changed = std::any_of(result_.counts.begin(), result_.counts.end(),
                                  [](const auto& count) { return count.second > 0; });
    return std::move(result_);
  }

 private:
  void drop_nodes(Graph& graph) {
    const NodeRange range = graph.nodes();
    std::vector<Node*> nodes(range.begin(), range.end());
    std::reverse(nodes.begin(), nodes.end());
    for (Node* node : nodes) {
      if (is_pure(*node) && erase_if_unused(*node)) {
        ++result_.counts["nodes"];
      } else {
        for (Graph* nested : node->nested_graphs()) drop_nodes(*nested);
      }
    }
    graph.sweep();
  }

  bool is_pure(const Node& node) const {
    const auto& pure = kPureDomains;
    if (std::find(std::begin(pure), std::end(pure), node.domain) == std::end(pure)) return false;
    return model_->functions.empty() || model_->function_of(node) == nullptr;
  }

  void drop_values(Graph& outermost) {
    for_each_graph(outermost, [&](Graph& graph) {
      for (Value* value : graph.values()) {
        if (!value->unused() || value->producer() != nullptr || value->is_graph_input()) continue;
        if (graph.extra.find(value->name()) != std::string::npos) continue;
        graph.erase(value);
        ++result_.counts["values"];
      }
    });
  }

  // Functions that neither the model nor a function that it calls calls.
  static int64_t drop_functions(Model& model) {
    if (model.functions.empty()) return 0;
    std::set<const Function*> reached;
    std::vector<Graph*> open = {model.graph.get()};
    while (!open.empty()) {
      Graph* next = open.back();
      open.pop_back();
      for_each_graph(*next, [&](Graph& graph) {
        for (Node* node : graph.nodes()) {
          const Function* called = model.function_of(*node);
          if (called != nullptr && reached.insert(called).second) {
            open.push_back(called->graph.get());
          }
        }
      });
    }
    return static_cast<int64_t>(std::erase_if(
        model.functions, [&](const Function& function) { return !reached.contains(&function); }));
  }

  Model* model_ = nullptr;
  PassResult result_;
};

}  // namespace

std::unique_ptr<Pass> make_drop_dead_code(const Options&) {
  return std::make_unique<DropDeadCode>();
}

}  // namespace dwindle::passes
