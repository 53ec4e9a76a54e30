// fold-affine: folds Mul, Div, Add and Sub of a constant per channel into the layer before them.
//
// Exporters write BatchNormalization, weight scales and biases as plain arithmetic at times. A
// Conv, ConvTranspose, Gemm or MatMul takes it into its weights and bias.
//
// Does nothing where the constant differs within a channel or makes the output larger, where the
// weights are not constant or have other users, and where the value between has other users.
#include <cmath>

#include "passes/simplify/affine.h"
#include "passes/simplify/rewrite.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

// `tensor`'s elements by channel, where it broadcasts along `axis` alone of a tensor of `rank`.
std::optional<std::vector<double>> per_channel(const Tensor& tensor, int64_t rank, int64_t axis,
                                               int64_t channels) {
  if (tensor.rank() > rank) return std::nullopt;
  for (int64_t i = 0; i < tensor.rank(); ++i) {
    const int64_t extent = tensor.shape()[static_cast<size_t>(i)];
    const bool channel_axis = i + rank - tensor.rank() == axis;
    if (extent != 1 && !(channel_axis && extent == channels)) return std::nullopt;
  }
  auto values = to_doubles(tensor);
  if (values && values->size() == 1) {
    values->resize(static_cast<size_t>(channels), values->front());
  }
  return values;
}

// The step that `node` is, with input `constant` holding `values` by channel.
std::optional<Affine> affine_of(const Node& node, size_t constant,
                                const std::vector<double>& values) {
  Affine affine;
  const bool first = constant == 0;  // constant op layer
  for (double value : values) {
    double scale = 1, shift = 0;
    if (node.is("Mul")) {
      scale = value;
    } else if (node.is("Div") && !first) {
      scale = 1 / value;
    } else if (node.is("Add")) {
      shift = value;
    } else if (node.is("Sub")) {
      scale = first ? -1 : 1;
      shift = first ? value : -value;
    } else {
      return std::nullopt;
    }
    if (!std::isfinite(scale) || !std::isfinite(shift)) return std::nullopt;
    affine.scale.push_back(scale);
    affine.shift.push_back(shift);
  }
  return affine;
}

bool fold(Model& model, Node& node, size_t constant) {
  const Tensor* tensor = node.input(constant)->constant();
  Node* producer = private_producer(node, 1 - constant);
  if (tensor == nullptr || producer == nullptr) return false;
  auto layer = LinearLayer::of(model, *producer);
  if (!layer || !layer->output_rank()) return false;
  const int64_t rank = *layer->output_rank(), axis = layer->is_conv() ? 1 : rank - 1;
  auto values = per_channel(*tensor, rank, axis, layer->out_channels());
  if (!values) return false;
  const auto affine = affine_of(node, constant, *values);
  if (!affine || !node.graph()->can_replace(node.output(), producer->output())) return false;
  if (!layer->absorb_after(*affine)) return false;
  return bypass(*node.output(), *producer->output()) && erase_if_unused(node);
}

struct FoldAffine : Pass {
  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    int64_t& folded = result.counts["folded"];
    for_each_node(*model.graph, [&](Node& node) {
      // Since opset 7 these broadcast as numpy does; before, by an attribute.
      const bool arithmetic = is_op(model, node, "Mul", 7) || is_op(model, node, "Div", 7) ||
                              is_op(model, node, "Add", 7) || is_op(model, node, "Sub", 7);
      if (!arithmetic || node.input(0) == nullptr || node.input(1) == nullptr) return;
      if (fold(model, node, 1) || fold(model, node, 0)) ++folded;
    });
    result.changed = folded > 0;
    return result;
  }
};

}  // namespace

std::unique_ptr<Pass> make_fold_affine(const Options&) { return std::make_unique<FoldAffine>(); }

}  // namespace dwindle::passes
