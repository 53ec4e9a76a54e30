#include "core/ops/infer.h"

#include <algorithm>

#include "core/ops/op.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

// Constant integers longer than this are weights or tables, not shape arithmetic.
constexpr int64_t kMostElements = 64;

const std::optional<Shape> kNoShape;

// Joins what the file declares with what was inferred. Exporters declare wrong shapes at times, and
// runtimes go by what the nodes make; so does this: a declaration only fills in what is not known.
// An extent with a symbol is known to be that of an input, whatever number was true of the file
// before somebody opened its batch.
std::optional<Shape> merged(const Value& value, const std::optional<Shape>& inferred) {
  const std::optional<Shape>& declared = value.type.shape;
  if (!declared) return inferred;
  if (!inferred) return declared;
  Shape shape = *inferred;
  if (declared->size() != inferred->size()) return shape;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (!shape[i].known() && shape[i].symbol.empty()) shape[i] = (*declared)[i];
  }
  return shape;
}

}  // namespace

DType InferContext::dtype(size_t i) const {
  return has_input(i) ? node_.input(i)->type.dtype : DType::kUndefined;
}

const std::optional<Shape>& InferContext::shape(size_t i) const {
  return has_input(i) ? node_.input(i)->type.shape : kNoShape;
}

std::optional<int64_t> InferContext::rank(size_t i) const {
  const auto& found = shape(i);
  return found ? std::optional(static_cast<int64_t>(found->size())) : std::nullopt;
}

std::optional<Dims> InferContext::dims(size_t i) const {
  const auto& found = shape(i);
  return found && all_known(*found) ? std::optional(to_dims(*found)) : std::nullopt;
}

const Tensor* InferContext::constant(size_t i) const {
  return has_input(i) ? node_.input(i)->constant() : nullptr;
}

std::optional<Elements> InferContext::elements(size_t i) const {
  if (!has_input(i)) return std::nullopt;
  if (const Tensor* tensor = constant(i)) {
    const bool integral = is_integer(tensor->dtype()) || tensor->dtype() == DType::kBool;
    if (!integral || tensor->rank() > 1 || tensor->size() > kMostElements) return std::nullopt;
    Elements elements;
    for (int64_t value : to_int64s(*tensor)) elements.push_back({value, ""});
    return elements;
  }
  auto it = elements_.find(node_.input(i));
  return it == elements_.end() ? std::nullopt : std::optional(it->second);
}

std::optional<std::vector<int64_t>> InferContext::integers(size_t i) const {
  if (const Tensor* tensor = constant(i)) {
    if (is_integer(tensor->dtype()) || tensor->dtype() == DType::kBool) return to_int64s(*tensor);
    return std::nullopt;
  }
  const auto known = elements(i);
  if (!known) return std::nullopt;
  std::vector<int64_t> values;
  for (const Element& element : *known) {
    if (!element.exact) return std::nullopt;
    values.push_back(*element.exact);
  }
  return values;
}

void InferContext::set_output(size_t i, DType dtype, std::optional<Shape> shape) {
  Value* value = node_.output(i);
  if (value == nullptr || !value->type.is_tensor()) return;
  if (value->type.dtype != DType::kUndefined && dtype != DType::kUndefined &&
      value->type.dtype != dtype) {
    fail("output '" + value->name() + "' is declared as " +
         std::string(dtype_name(value->type.dtype)) + " but is " + std::string(dtype_name(dtype)));
  }
  std::optional<Shape> joined = merged(*value, shape);
  if (dtype != DType::kUndefined) value->type.dtype = dtype;
  value->type.shape = std::move(joined);
}

void InferContext::set_elements(size_t i, Elements elements) {
  const Value* value = node_.output(i);
  if (value == nullptr || static_cast<int64_t>(elements.size()) > kMostElements) return;
  elements_[value] = std::move(elements);
}

Shape broadcast_shapes(const InferContext& context, const Shape& a, const Shape& b) {
  const size_t rank = std::max(a.size(), b.size());
  Shape shape(rank);
  for (size_t i = 0; i < rank; ++i) {
    const Dim x = i + a.size() < rank ? Dim(1) : a[i + a.size() - rank];
    const Dim y = i + b.size() < rank ? Dim(1) : b[i + b.size() - rank];
    if (x.extent == 1) {
      shape[i] = y;
    } else if (y.extent == 1) {
      shape[i] = x;
    } else if (x.known() && y.known()) {
      if (x.extent != y.extent) {
        context.fail("shapes " + to_string(a) + " and " + to_string(b) + " do not broadcast");
      }
      shape[i] = x;
    } else if (x.known() || y.known()) {
      shape[i] = x.known() ? x : y;  // the unknown one is 1 or the same
    } else if (x.same(y)) {
      shape[i] = x;
    }
  }
  return shape;
}

void ShapeInference::run() { run(*model_.graph); }

void ShapeInference::run(Graph& graph) {
  for (Node* node : graph.nodes()) {
    for (Graph* nested : node->nested_graphs()) run(*nested);
    infer(*node);
  }
}

void ShapeInference::infer(Node& node) {
  auto imported = model_.opsets.find(node.domain);
  if (imported == model_.opsets.end() || model_.function_of(node) != nullptr) return;
  const int opset = static_cast<int>(imported->second);
  const OpRow* row = find_op(node.domain, node.op_type, opset);
  if (row == nullptr || row->infer == nullptr) return;
  InferContext context(node, opset, elements_);
  row->infer(context);
}

const Elements* ShapeInference::elements(const Value* value) const {
  auto it = elements_.find(value);
  return it == elements_.end() ? nullptr : &it->second;
}

}  // namespace dwindle
