#include "core/ops/facts.h"

#include "core/ops/infer.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

std::string op_name(const Node& node) {
  return node.domain.empty() ? node.op_type : node.domain + "." + node.op_type;
}

bool is_quantized_op(const Node& node) {
  return node.op_type == "QuantizeLinear" || node.op_type == "DequantizeLinear" ||
         node.op_type == "DynamicQuantizeLinear" || node.op_type.starts_with("QLinear") ||
         node.op_type == "ConvInteger" || node.op_type == "MatMulInteger";
}

void count_tensor(const Tensor& tensor, Facts& facts) {
  facts.parameters += tensor.size();
  facts.weight_bytes[std::string(dtype_name(tensor.dtype()))] += tensor.nbytes();
}

void count_graph(const Graph& graph, Facts& facts) {
  for (const Value* value : graph.initializers()) {
    if (value->initializer() != nullptr) count_tensor(*value->initializer(), facts);
    if (const SparseTensor* sparse = value->sparse_initializer()) {
      count_tensor(sparse->values, facts);
      facts.weight_bytes["int64"] += sparse->indices.nbytes();
    }
  }
  for (const Node* node : graph.nodes()) {
    ++facts.nodes;
    ++facts.ops[op_name(*node)];
    facts.quantized |= is_quantized_op(*node);
    if (node->is("Constant")) {
      if (const Tensor* value = node->tensor_attribute("value")) count_tensor(*value, facts);
    }
    for (const Graph* nested : node->nested_graphs()) count_graph(*nested, facts);
  }
}

std::optional<Dims> dims_of(const Value* value) {
  if (value == nullptr || !value->type.shape || !all_known(*value->type.shape)) return std::nullopt;
  return to_dims(*value->type.shape);
}

int64_t product(const Dims& dims, size_t from) {
  int64_t count = 1;
  for (size_t i = from; i < dims.size(); ++i) count *= dims[i];
  return count;
}

// Multiply-accumulates of one node: 0 for ops that have none, none where a shape is not known.
std::optional<int64_t> node_macs(const Node& node) {
  const bool conv = node.is("Conv") || node.is("ConvInteger");
  const bool qconv = node.is("QLinearConv"), qmatmul = node.is("QLinearMatMul");
  if (conv || qconv || node.is("ConvTranspose")) {
    const auto x = dims_of(node.input(0)), w = dims_of(node.input(qconv ? 3 : 1));
    const auto y = dims_of(node.output());
    if (!x || !w || !y || w->size() < 2) return std::nullopt;
    // A weight element meets each output element of its channel once; with ConvTranspose each
    // input element.
    const Dims& walked = node.is("ConvTranspose") ? *x : *y;
    return product(walked, 0) * product(*w, 1);
  }
  if (node.is("MatMul") || node.is("MatMulInteger") || qmatmul || node.is("Gemm")) {
    const auto a = dims_of(node.input(0)), y = dims_of(node.output());
    if (!a || !y || a->empty()) return std::nullopt;
    const bool transposed = node.is("Gemm") && node.int_attribute("transA", 0) != 0;
    return product(*y, 0) * (transposed ? (*a)[0] : a->back());
  }
  return 0;
}

std::optional<int64_t> count_macs(const Model& model) {
  Model copy = model.clone();
  for (Value* input : copy.graph->inputs()) {
    if (!input->type.shape) continue;
    for (Dim& dim : *input->type.shape) {
      if (!dim.known()) dim = 1;
    }
  }
  try {
    infer_shapes(copy);
    int64_t macs = 0;
    for (const Node* node : copy.graph->nodes()) {
      const std::optional<int64_t> count = node_macs(*node);
      if (!count) return std::nullopt;
      macs += *count;
    }
    return macs;
  } catch (const Error&) {
    return std::nullopt;  // the rest of the facts stands all the same
  }
}

}  // namespace

Facts count_facts(const Model& model) {
  Facts facts;
  count_graph(*model.graph, facts);
  facts.macs = count_macs(model);
  return facts;
}

}  // namespace dwindle
