// fold-batch-norm: folds BatchNormalization into the layer before or behind it.
//
// In inference it is a constant scale and shift per channel (Ioffe, Szegedy 2015,
// arXiv:1502.03167, section 3.1), which a Conv, ConvTranspose, Gemm or MatMul beside it takes into
// its weights and bias at no cost. Behind the layer always; before it where that is exact: a shift
// is not where the layer pads with zeros. Before a Gemm also across the Flatten between them.
//
// Does nothing where a parameter or the weights are not constant or the weights have other users,
// where the value between has other users, in training mode, and before opset 7.
#include <cmath>

#include "core/ops/batch_norm.h"
#include "passes/simplify/affine.h"
#include "passes/simplify/rewrite.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

// What the node computes. None where that is not constant.
std::optional<Affine> affine_of(const Model& model, const Node& node) {
  if (!is_op(model, node, "BatchNormalization", 7)) return std::nullopt;
  if (takes_batch_statistics(node, opset_or_zero(model, node)) ||
      node.int_attribute("spatial", 1) != 1) {
    return std::nullopt;
  }
  std::vector<double> parameters[4];  // scale, bias, mean, variance
  for (size_t i = 0; i < 4; ++i) {
    const Value* value = node.input(i + 1);
    const Tensor* tensor = value == nullptr ? nullptr : value->constant();
    auto values = tensor == nullptr ? std::nullopt : to_doubles(*tensor);
    if (!values || tensor->rank() != 1) return std::nullopt;
    parameters[i] = std::move(*values);
    if (parameters[i].size() != parameters[0].size()) return std::nullopt;
  }
  const auto& [scale, bias, mean, variance] = parameters;
  const double epsilon = node.float_attribute("epsilon", 1e-5f);
  Affine affine;
  for (size_t c = 0; c < scale.size(); ++c) {
    affine.scale.push_back(scale[c] / std::sqrt(variance[c] + epsilon));
    affine.shift.push_back(bias[c] - mean[c] * affine.scale[c]);
    if (!std::isfinite(affine.scale[c]) || !std::isfinite(affine.shift[c])) return std::nullopt;
  }
  return affine;
}

bool fold_into_layer_before(Model& model, Node& norm, const Affine& affine) {
  Node* producer = private_producer(norm, 0);
  if (producer == nullptr) return false;
  auto layer = LinearLayer::of(model, *producer);
  // Channels are on axis 1: of Gemm's and MatMul's outputs only where that is the last.
  if (!layer || (!layer->is_conv() && layer->output_rank() != 2)) return false;
  Value& old = *norm.output();
  if (!norm.graph()->can_replace(&old, producer->output())) return false;
  return layer->absorb_after(affine) && bypass(old, *producer->output());
}

// Whether `node` makes a matrix of its input with the axes from 1 on in a row.
bool flattens(const Model& model, const Node& node) {
  if (is_op(model, node, "Flatten")) return node.int_attribute("axis", 1) == 1;
  if (!is_op(model, node, "Reshape", 5) || node.input(0) == nullptr) return false;
  const auto& from = node.input(0)->type.shape;
  const auto& to = node.output()->type.shape;
  if (!from || !to || from->size() < 2 || to->size() != 2 || !(*to)[1].known()) return false;
  int64_t features = 1;
  for (size_t i = 1; i < from->size(); ++i) {
    if (!(*from)[i].known()) return false;
    features *= (*from)[i].extent;
  }
  return features == (*to)[1].extent;
}

bool fold_into_layer_behind(Model& model, Node& norm, const Affine& affine) {
  Value& output = *norm.output();
  Node* user = sole_user(output);
  if (user == nullptr || norm.input(0) == nullptr || output.uses().front().input != 0) return false;
  Node* first = user;
  const bool flat = flattens(model, *user);
  if (flat) user = sole_user(*user->output());
  if (user == nullptr || (flat && first->output()->uses().front().input != 0)) return false;
  auto layer = LinearLayer::of(model, *user);
  if (!layer) return false;
  if (flat && layer->is_conv()) return false;
  if (!flat && !layer->is_conv()) {
    // Otherwise the channels are not on the axis that the layer sums over.
    const auto& shape = output.type.shape;
    if (!shape || shape->size() != 2) return false;
  }
  if (!flat && affine.channels() != static_cast<size_t>(layer->in_channels())) return false;
  if (!layer->absorb_before(affine)) return false;
  first->set_input(0, norm.input(0));
  return true;
}

struct FoldBatchNorm : Pass {
  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    int64_t& folded = result.counts["folded"];
    for_each_node(*model.graph, [&](Node& node) {
      const auto affine = affine_of(model, node);
      if (!affine) return;
      if (!fold_into_layer_before(model, node, *affine) &&
          !fold_into_layer_behind(model, node, *affine)) {
        return;
      }
      erase_if_unused(node);
      ++folded;
    });
    result.changed = folded > 0;
    return result;
  }
};

}  // namespace

std::unique_ptr<Pass> make_fold_batch_norm(const Options&) {
  return std::make_unique<FoldBatchNorm>();
}

}  // namespace dwindle::passes
