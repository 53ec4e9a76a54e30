#include "core/ir/finite.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "core/support/file.h"

namespace dwindle {
namespace {

constexpr size_t kPart = 1 << 20;  // elements

double as_double(float x) { return static_cast<double>(x); }
double as_double(double x) { return x; }
double as_double(Float16 x) { return static_cast<double>(to_float(x)); }
double as_double(Bfloat16 x) { return static_cast<double>(to_float(x)); }

// Nearly all tensors hold none, so that is settled first, by a loop without branches.
bool all_finite(std::span<const float> values) {
  bool bad = false;
  for (float x : values) bad |= !(std::abs(x) <= std::numeric_limits<float>::max());
  return !bad;
}
template <typename T>
bool all_finite(std::span<const T> values) {
  return std::all_of(values.begin(), values.end(), [](T x) { return std::isfinite(as_double(x)); });
}

template <typename T>
NonFinite find_in(const Tensor& tensor) {
  NonFinite found;
  // Models that are not valid are looked at, too.
  if (tensor.nbytes() < static_cast<size_t>(tensor.size()) * sizeof(T)) return found;
  const std::span<const T> values = tensor.values<T>();
  for (size_t begin = 0; begin < values.size(); begin += kPart) {
    const auto part = values.subspan(begin, std::min(kPart, values.size() - begin));
    const size_t size = all_finite(part) ? 0 : part.size();
    for (size_t i = 0; i < size; ++i) {
      const double value = as_double(part[i]);
      if (std::isfinite(value)) continue;
      const auto at = static_cast<int64_t>(begin + i);
      ++(std::isnan(value) ? found.nans : found.infinities);
      if (std::isnan(value) && found.first_nan < 0) found.first_nan = at;
      if (found.first < 0) {
        found.first = at;
        found.first_value = value;
      }
    }
    give_back_pages(std::as_bytes(part));
  }
  return found;
}

void collect(const Graph& graph, std::vector<NonFiniteConstant>& constants) {
  const auto add = [&](const std::string& name, const Tensor& tensor) {
    NonFinite found = find_non_finite(tensor);
    if (found.any()) constants.push_back({name, tensor.shape(), found});
  };
  for (const Value* value : graph.initializers()) {
    if (value->initializer() != nullptr) add(value->name(), *value->initializer());
    if (value->sparse_initializer() != nullptr) {
      add(value->name(), value->sparse_initializer()->values);
    }
  }
  for (const Node* node : graph.nodes()) {
    const Tensor* constant = node->is("Constant") ? node->tensor_attribute("value") : nullptr;
    if (constant != nullptr && node->output() != nullptr) add(node->output()->name(), *constant);
  }
}

}  // namespace

NonFinite find_non_finite(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::kFloat:
      return find_in<float>(tensor);
    case DType::kDouble:
      return find_in<double>(tensor);
    case DType::kFloat16:
      return find_in<Float16>(tensor);
    case DType::kBfloat16:
      return find_in<Bfloat16>(tensor);
    default:
      return {};
  }
}

std::string non_finite_name(double value) {
  return std::isnan(value) ? "NaN" : value > 0 ? "infinity" : "-infinity";
}

Dims index_of_element(int64_t at, const Dims& shape) {
  Dims index(shape.size());
  for (size_t axis = shape.size(); axis-- > 0;) {
    index[axis] = at % shape[axis];
    at /= shape[axis];
  }
  return index;
}

std::vector<NonFiniteConstant> non_finite_constants(const Model& model) {
  std::vector<NonFiniteConstant> constants;
  const auto visit = [&](const Graph& graph) { collect(graph, constants); };
  for_each_graph(*model.graph, visit);
  for (const Function& function : model.functions) for_each_graph(*function.graph, visit);
  return constants;
}

}  // namespace dwindle
