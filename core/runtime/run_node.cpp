#include "core/runtime/run_node.h"

#include <stdexcept>

#include "core/runtime/half_bridge.h"
#include "core/support/interrupt.h"

namespace dwindle {
namespace {

class NodeContext : public HalfBridge {
 public:
  NodeContext(const Node& node, const std::vector<Tensor>& inputs) {
    node_ = &node;
    held_.assign(inputs.begin(), inputs.end());
    for (const Held& input : held_) inputs_.push_back(&input);
    outputs_.resize(node.num_outputs());
  }
  std::vector<Held> run_graph(const Graph&, std::vector<Held>) override {
    throw std::logic_error("run_node: a node without nested graphs runs one");
  }

 private:
  std::vector<Held> held_;
};

}  // namespace

std::optional<std::vector<Tensor>> run_node(const Node& node, int opset,
                                            const std::vector<Tensor>& inputs) {
  const OpRow* row = find_op(node.domain, node.op_type, opset);
  if (row == nullptr || row->kernel == nullptr || !node.nested_graphs().empty()) {
    return std::nullopt;
  }
  check_interrupted();
  const Kernel kernel = row->kernel(node, opset);
  NodeContext context(node, inputs);
  if (row->half == kViaFloat) context.widen_halves();
  kernel(context);
  if (row->half == kViaFloat) context.narrow_outputs();
  std::vector<Tensor> outputs(node.num_outputs());
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (node.output(i) == nullptr) continue;
    outputs[i] = context.take_output(i).tensor;
    if (!outputs[i].defined()) return std::nullopt;
  }
  return outputs;
}

}  // namespace dwindle
