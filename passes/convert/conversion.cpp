#include "passes/convert/conversion.h"

#include "core/support/error.h"

namespace dwindle::passes {
namespace {

constexpr int64_t kCastLikeSince = 15;

Tensor scalar_of(float value, DType dtype) {
  switch (dtype) {
    case DType::kFloat:
      return Tensor::scalar(value);
    case DType::kDouble:
      return Tensor::scalar(static_cast<double>(value));
    case DType::kFloat16:
      return Tensor::scalar(to_float16(value));
    case DType::kBfloat16:
      return Tensor::scalar(to_bfloat16(value));
    default:
      refuse("a number of dtype " + std::string(dtype_name(dtype)));
  }
}

}  // namespace

void refuse(const std::string& why) { throw Unsupported(why); }

Value* NodeRaise::constant(const std::string& name, Tensor tensor) const {
  Graph& graph = *node.graph();
  const std::string hint = node.op_type + "_" + name;
  if (!in_function || graph.parent() != nullptr) {
    return graph.add_initializer(hint, std::move(tensor));
  }
  Node* made = graph.add_node("Constant", {}, 1, &node, hint);
  made->set_attribute("value", std::move(tensor));
  return made->output();
}

Value* NodeRaise::ints(const std::string& name, std::vector<int64_t> values) const {
  return constant(name, Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values));
}

Value* NodeRaise::scalar_like(const std::string& name, float value, Value* like) const {
  DType dtype = like->type.dtype;
  if (dtype == DType::kUndefined) dtype = node.output()->type.dtype;
  if (dtype != DType::kUndefined) return constant(name, scalar_of(value, dtype));
  if (target < kCastLikeSince) {
    refuse("the dtype of '" + like->name() + "' is not known, which that of '" + name +
           "' must be");
  }
  return before("CastLike", {constant(name, Tensor::scalar(value)), like})->output();
}

Node* NodeRaise::before(const std::string& op, const std::vector<Value*>& inputs) const {
  return node.graph()->add_node(op, inputs, 1, &node);
}

Node* NodeRaise::behind(const std::string& op, const std::vector<Value*>& rest) const {
  Graph& graph = *node.graph();
  Value* result = node.output();
  std::vector<Value*> inputs = {nullptr};  // the result, once its other users are moved away
  inputs.insert(inputs.end(), rest.begin(), rest.end());
  Node* made = graph.add_node(op, inputs, 1, node.next());
  made->output()->type = result->type;
  graph.replace(result, made->output());
  made->set_input(0, node.output());
  node.output()->type.shape.reset();
  return made;
}

void NodeRaise::ints_to_input(const char* name, size_t index) const {
  auto values = node.ints_attribute(name);
  if (!values) return;
  node.remove_attribute(name);
  node.set_input(index, ints(name, std::move(*values)));
}

const Conversion* next_conversion(const std::string& op, int64_t from, int64_t target) {
  const Conversion* next = nullptr;
  for (const auto rows : {input_conversions(), reduction_conversions(), norm_conversions(),
                          image_conversions(), scan_conversions()}) {
    for (const Conversion& row : rows) {
      if (op != row.op || row.version <= from || row.version > target) continue;
      if (next == nullptr || row.version < next->version) next = &row;
    }
  }
  return next;
}

}  // namespace dwindle::passes
