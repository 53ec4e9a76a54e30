#include "core/runtime/first_non_finite.h"

#include "core/ir/finite.h"

namespace dwindle {

std::string first_non_finite(const Model& model, const std::vector<Feed>& feeds,
                             const MakeExecutor& executors) {
  std::vector<const Value*> values;
  for (const Node* node : model.graph->nodes()) {
    for (const Value* output : node->outputs()) {
      if (output != nullptr) values.push_back(output);
    }
  }
  const Value* nan = nullptr;
  const Value* infinity = nullptr;
  const std::unique_ptr<Executor> executor = executors(model);
  executor->watch(values, [&](const Value& value, const Tensor& tensor) {
    if (nan != nullptr) return;
    const NonFinite found = find_non_finite(tensor);
    if (found.nans > 0) nan = &value;
    if (found.any() && infinity == nullptr) infinity = &value;
  });
  for (const Feed& feed : feeds) {
    executor->run(feed.inputs);
    if (nan != nullptr) break;
  }
  const Value* first = nan != nullptr ? nan : infinity;
  if (first == nullptr) return "";
  const Node& node = *first->producer();
  return node.op_type + " node '" + node.name + "' makes " +
         (nan != nullptr ? "NaN" : "an infinity") + " first, in '" + first->name() + "'";
}

}  // namespace dwindle
