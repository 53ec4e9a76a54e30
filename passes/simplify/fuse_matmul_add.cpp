// fuse-matmul-add: makes Gemm of MatMul and Add on matrices.
//
// A Gemm with its bias is one layer to quantize and one kernel to run.
//
// Does nothing where the input is not known to have two axes, where the weights are not constant,
// where the Add broadcasts anything but a row, where the product has other users, and where an
// infinity is added: that is a mask and no bias.
#include "core/ir/finite.h"
#include "passes/simplify/rewrite.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

bool is_matrix(const Value* value) {
  return value != nullptr && value->type.shape && value->type.shape->size() == 2;
}

bool fuse(Node& add, size_t bias_input) {
  Node* product = private_producer(add, 1 - bias_input);
  const Value* bias = add.input(bias_input);
  if (product == nullptr || !product->is("MatMul") || bias == nullptr) return false;
  if (!is_matrix(product->input(0)) || !is_matrix(product->input(1))) return false;
  const Tensor* weights = product->input(1)->constant();
  const Tensor* row = bias->constant();
  if (weights == nullptr || !is_floating(weights->dtype()) || row == nullptr) return false;
  const int64_t columns = weights->shape()[1];
  const bool fits = row->rank() == 1 || (row->rank() == 2 && row->shape()[0] == 1);
  if (!fits || row->shape().back() != columns || find_non_finite(*row).infinities > 0) return false;
  if (!bypass(*add.output(), *product->output())) return false;
  // Only there is the bias sure to be defined: a Constant node may stand between the two.
  add.graph()->move_before(product, &add);
  product->op_type = "Gemm";
  product->add_input(add.input(bias_input));
  return true;
}

struct FuseMatMulAdd : Pass {
  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    int64_t& fused = result.counts["fused"];
    for_each_node(*model.graph, [&](Node& node) {
      // Gemm broadcasts a row from opset 7 on.
      if (!is_op(model, node, "Add", 7)) return;
      if (!fuse(node, 1) && !fuse(node, 0)) return;
      erase_if_unused(node);
      ++fused;
    });
    result.changed = fused > 0;
    return result;
  }
};

}  // namespace

std::unique_ptr<Pass> make_fuse_matmul_add(const Options&) {
  return std::make_unique<FuseMatMulAdd>();
}

}  // namespace dwindle::passes
