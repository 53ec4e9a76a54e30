// ValueInfoProto to ValueType.
#include "core/onnx/load_parts.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

Dim take_dim(proto::TensorShapeProto::Dimension& dim, const std::string& value) {
  if (dim.has_dim_value()) {
    const int64_t extent = dim.dim_value();
    // Some exporters write an unknown extent as -1, and runtimes take it.
    if (extent < Dim::kUnknown) {
      throw BadModel("value '" + value + "' has the negative extent " + std::to_string(extent));
    }
    dim.clear_dim_value();
    return Dim(extent);
  }
  if (!dim.has_dim_param() || dim.dim_param().empty()) return Dim();
  Dim named = Dim::named(dim.dim_param());
  dim.clear_dim_param();
  return named;
}

// The extents that are known must at least be countable.
void check_countable(const Shape& shape, const std::string& value) {
  Dims known;
  for (const Dim& dim : shape) {
    if (dim.known()) known.push_back(dim.extent);
  }
  try {
    element_count(known);
  } catch (const BadModel& error) {
    throw BadModel("value '" + value + "': " + error.what());
  }
}

// Leaves the shape in the message only where it says more than the extents (denotations).
Shape take_shape(proto::TypeProto::Tensor& tensor, const std::string& value) {
  proto::TensorShapeProto& message = *tensor.mutable_shape();
  Shape shape;
  bool says_more = !message.unknown_fields().empty();
  for (auto& dim : *message.mutable_dim()) {
    shape.push_back(take_dim(dim, value));
    says_more = says_more || dim.ByteSizeLong() > 0;
  }
  check_countable(shape, value);
  if (!says_more) tensor.clear_shape();
  return shape;
}

}  // namespace

ValueType take_type(proto::ValueInfoProto& info) {
  ValueType taken;
  if (!info.has_type()) return taken;
  proto::TypeProto& type = *info.mutable_type();
  if (type.value_case() == proto::TypeProto::VALUE_NOT_SET) return taken;
  if (!type.has_tensor_type()) {
    taken.opaque = type.SerializeAsString();
    info.clear_type();
    return taken;
  }
  proto::TypeProto::Tensor& tensor = *type.mutable_tensor_type();
  if (tensor.elem_type() != 0) {
    if (!is_known_dtype(tensor.elem_type())) {
      throw BadModel("value '" + info.name() + "' has the unknown element type " +
                     std::to_string(tensor.elem_type()));
    }
    taken.dtype = static_cast<DType>(tensor.elem_type());
    tensor.clear_elem_type();
  }
  if (tensor.has_shape()) taken.shape = take_shape(tensor, info.name());
  const bool says_more = tensor.ByteSizeLong() > 0 || type.has_denotation() ||
                         !type.unknown_fields().empty() || taken.dtype == DType::kUndefined;
  if (!says_more) info.clear_type();
  return taken;
}

bool contradict(const ValueType& a, const ValueType& b) {
  if (a.is_tensor() != b.is_tensor()) {
    const ValueType& tensor = a.is_tensor() ? a : b;
    return tensor.dtype != DType::kUndefined || tensor.shape.has_value();
  }
  if (!a.is_tensor()) return false;  // carried, not understood
  if (a.dtype != b.dtype && a.dtype != DType::kUndefined && b.dtype != DType::kUndefined) {
    return true;
  }
  if (!a.shape || !b.shape) return false;
  if (a.shape->size() != b.shape->size()) return true;
  for (size_t i = 0; i < a.shape->size(); ++i) {
    const Dim& x = (*a.shape)[i];
    const Dim& y = (*b.shape)[i];
    if (x.known() && y.known() && x.extent != y.extent) return true;
  }
  return false;
}

}  // namespace dwindle
