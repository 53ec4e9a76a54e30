#include "passes/quantize/quantized.h"

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

}  // namespace dwindle::passes
