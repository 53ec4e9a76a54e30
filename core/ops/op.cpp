#include "core/ops/op.h"

#include "core/support/error.h"

namespace dwindle {
namespace {

std::string where(const Node& node) { return node.op_type + " node '" + node.name + "': "; }

int64_t normalized(const Node& node, int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) {
    throw BadModel(where(node) + "axis " + std::to_string(axis) + " is out of range for rank " +
                   std::to_string(rank));
  }
  return axis < 0 ? axis + rank : axis;
}

}  // namespace

const Tensor& KernelContext::input(size_t i) const {
  const Held& given = held(i);
  if (given.sequence) fail("input " + std::to_string(i) + " is a sequence, not a tensor");
  return given.tensor;
}

const std::vector<Tensor>& KernelContext::sequence(size_t i) const {
  const Held& given = held(i);
  if (!given.sequence) fail("input " + std::to_string(i) + " is a tensor, not a sequence");
  return *given.sequence;
}

const Held& KernelContext::held(size_t i) const {
  if (!has_input(i)) fail("input " + std::to_string(i) + " is missing");
  return *inputs_[i];
}

Tensor& KernelContext::output(size_t i, DType dtype, Dims shape) {
  if (i >= outputs_.size()) outputs_.resize(i + 1);
  outputs_[i] = Tensor::allocate(dtype, std::move(shape));
  return outputs_[i].tensor;
}

void KernelContext::set_output(size_t i, Held held) {
  if (i >= outputs_.size()) outputs_.resize(i + 1);
  outputs_[i] = std::move(held);
}

void KernelContext::fail(const std::string& what) const { throw BadModel(where(*node_) + what); }

void KernelContext::unsupported(const std::string& what) const {
  throw Unsupported(where(*node_) + what + " is not supported");
}

int64_t KernelContext::normalize_axis(int64_t axis, int64_t rank) const {
  return normalized(*node_, axis, rank);
}

void InferContext::fail(const std::string& what) const { throw BadModel(where(node_) + what); }

int64_t InferContext::normalize_axis(int64_t axis, int64_t rank) const {
  return normalized(node_, axis, rank);
}

int opset_of(const Model& model, const Node& node) {
  auto it = model.opsets.find(node.domain);
  if (it == model.opsets.end()) {
    throw BadModel(where(node) + "the model imports no version of operator set '" +
                   (node.domain.empty() ? "ai.onnx" : node.domain) + "'");
  }
  return static_cast<int>(it->second);
}

}  // namespace dwindle
