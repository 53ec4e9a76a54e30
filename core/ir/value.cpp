#include "core/ir/graph.h"
#include "core/support/error.h"

namespace dwindle {

void Value::rename(const std::string& name) {
  if (name == name_) return;
  if (graph_->by_name_.contains(name)) throw BadModel("two values are named '" + name + "'");
  graph_->by_name_.erase(name_);
  name_ = name;
  graph_->by_name_.emplace(name_, this);
  graph_->root()->used_names_.insert(name_);
}

void Value::set_initializer(Tensor tensor) {
  type = {tensor.dtype(), to_shape(tensor.shape()), {}};
  initializer_ = std::move(tensor);
}

void Value::set_sparse_initializer(SparseTensor tensor) {
  type = {tensor.values.dtype(), to_shape(tensor.shape), {}};
  sparse_ = std::make_unique<SparseTensor>(std::move(tensor));
}

const Tensor* Value::constant() const {
  if (producer_ != nullptr) {
    return producer_->is("Constant") ? producer_->tensor_attribute("value") : nullptr;
  }
  return graph_input_ || !initializer_ ? nullptr : &*initializer_;
}

}  // namespace dwindle
