#include "passes/quantize/quantized.h"

#include <algorithm>

#include "core/support/error.h"
#include "passes/convert/passes.h"
#include "passes/node_names.h"
#include "passes/quantize/targets.h"

namespace dwindle::passes {
namespace {

bool is_quantized_op(const std::string& type) {
  return type == "QuantizeLinear" || type == "DequantizeLinear" || type == "MatMulNBits" ||
         type.starts_with("QLinear") || type.starts_with("DynamicQuantize") ||
         type.ends_with("Integer") || type.ends_with("IntegerToFloat") || type == "QGemm" ||
         type == "QAttention" || type == "FakeQuantize";
}

std::string find_in(Graph& root) {
  std::string found;
  for_each_graph(root, [&](Graph& graph) {
    for (Node* node : graph.nodes()) {
      if (found.empty() && is_quantized_op(node->op_type)) found = node->op_type;
    }
  });
  return found;
}

}  // namespace

std::string quantized_op(const Model& model) {
  std::string found = find_in(*model.graph);
  for (const Function& function : model.functions) {
    if (found.empty()) found = find_in(*function.graph);
  }
  return found;
}

void require_float(const Model& model) {
  if (!is_quantized(model)) return;
  throw BadModel("the model is quantized already: it holds " + quantized_op(model) +
                 " nodes; quantize the float model it was made from");
}

void require_opset(const Model& model, LeastVersions least) {
  if (model.opset() >= least.opset) return;
  throw Unsupported("such weights and activations in a model of opset " +
                    std::to_string(model.opset()) + "; raise it to " + std::to_string(least.opset) +
                    " first (raise-opset)");
}

void require_kernels(const Model& model, const Model* original, const Scheme& scheme) {
  const bool raised = original != nullptr && original->opset() < 22 && model.opset() >= 22;
  if (!raised || scheme.target == nullptr) return;
  const auto& lost = scheme.target->until_21;
  for_each_graph(*model.graph, [&](Graph& graph) {
    for (const Node* node : graph.nodes()) {
      if (!node->domain.empty() || std::ranges::find(lost, node->op_type) == lost.end()) continue;
      throw Unsupported("such weights need opset " + std::to_string(scheme.least_versions().opset) +
                        ", for which target " + std::string(scheme.target->name) +
                        " has no kernel of " + node->op_type + " ('" + handle(*node) +
                        "'); weights of more bits need no more than 21");
    }
  });
}

void tell_unknown_opset(const Model& model, PassResult& result) {
  if (model.opset() <= kNewestOpset) return;
  result.notes.push_back("the model is of opset " + std::to_string(model.opset()) +
                         ", the newest known one is " + std::to_string(kNewestOpset) +
                         ": its ops are taken for what they are there");
}

void report_islands(const Placement& placement, PassResult& result) {
  for (const Island& island : placement.islands) {
    result.notes.push_back("float: " + island.node->op_type + " '" + handle(*island.node) +
                           "': " + island.reason);
  }
  result.counts["nodes left in float"] = static_cast<int64_t>(placement.islands.size());
}

}  // namespace dwindle::passes
