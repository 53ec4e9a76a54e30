// FloatExecutor: runs any Model whose ops are in the operator table, in floating point. Local
// functions run as if their bodies stood where they are called.
#pragma once

#include <memory>
#include <vector>

#include "core/runtime/executor.h"

namespace dwindle {

// As a Watcher, and what it makes of the tensor is what the nodes behind read.
using Alterer = std::function<void(const Value& value, Tensor& tensor)>;

class FloatExecutor : public Executor {
 public:
  // Prepares every node. `model` is not changed and must outlive the executor. Raises Unsupported,
  // naming all ops that are not in the table, or an input or output that is no tensor; BadModel for
  // impossible attributes. Between nodes, and in and out of nested graphs, sequences of tensors may
  // go; watchers are not shown them.
  explicit FloatExecutor(const Model& model);
  ~FloatExecutor() override;
  FloatExecutor(FloatExecutor&&) noexcept;

  // Runs with `feeds` for the graph inputs (those with an initializer may be left out) and returns
  // the graph outputs. Shapes may change from run to run. Raises BadData where a name, dtype or
  // shape does not fit the model's inputs, or what a kernel raises, with the node named;
  // Interrupted within a node's time of a request for it, however long a loop runs.
  TensorMap run(const TensorMap& feeds) override;

  // Shows values of nested graphs too, graph inputs included.
  void watch(const std::vector<const Value*>& values, Watcher watcher) override;
  // The same with the right to change values, in place of any watcher; graph outputs count as read.
  // Changes keep dtype and shape.
  void alter(const std::vector<const Value*>& values, Alterer alterer);

 private:
  class Plan;
  std::unique_ptr<Plan> plan_;
};

// Raises BadData where `tensor` does not fit what the graph declares of its input `value`.
void check_feed(const Value& value, const Tensor& tensor);

// Raises Unsupported, naming it, where an input or output of `model` is declared as no tensor.
void check_all_tensors(const Model& model);
// Raises that error for the `what` ("input", "output") called `name`.
[[noreturn]] void refuse_no_tensor(const std::string& what, const std::string& name);

}  // namespace dwindle
