// Ops that make tensors from nothing, or pass them on: Constant, ConstantOfShape, Identity,
// Dropout, Shape, Size.
#include <algorithm>
#include <cstring>

#include "core/ops/families.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

// The tensor that a Constant node holds, in whichever of its attributes.
Tensor constant_value(const Node& node) {
  if (const Tensor* tensor = node.tensor_attribute("value")) return *tensor;
  if (node.attribute("value_float") != nullptr) {
    return Tensor::scalar(node.float_attribute("value_float", 0));
  }
  if (node.attribute("value_int") != nullptr) {
    return Tensor::scalar(node.int_attribute("value_int", 0));
  }
  if (node.attribute("value_string") != nullptr) {
    return Tensor::strings({}, {node.string_attribute("value_string", "")});
  }
  if (auto values = node.floats_attribute("value_floats")) {
    return Tensor::of<float>({static_cast<int64_t>(values->size())}, *values);
  }
  if (auto values = node.ints_attribute("value_ints")) {
    return Tensor::of<int64_t>({static_cast<int64_t>(values->size())}, *values);
  }
  if (auto values = node.strings_attribute("value_strings")) {
    const auto count = static_cast<int64_t>(values->size());
    return Tensor::strings({count}, std::move(*values));
  }
  throw Unsupported("Constant node '" + node.name +
                    "': a sparse or missing value is not supported");
}

void infer_constant(InferContext& c) {
  if (c.node().attribute("sparse_value") != nullptr) return;
  const Tensor value = constant_value(c.node());
  c.set_output(0, value.dtype(), to_shape(value.shape()));
}

Kernel constant_kernel(const Node& node, int) {
  return [value = constant_value(node)](KernelContext& c) { c.set_output(0, value); };
}

// value: a tensor of one element; float 0 where absent.
Tensor fill_value(const Node& node) {
  const Tensor* value = node.tensor_attribute("value");
  if (value == nullptr) return Tensor::scalar(0.0f);
  if (value->size() != 1) {
    throw BadModel("ConstantOfShape node '" + node.name + "': value must have one element");
  }
  return *value;
}

void infer_constant_of_shape(InferContext& c) {
  const Tensor value = fill_value(c.node());
  std::optional<Shape> shape;
  if (const auto elements = c.elements(0)) {
    shape.emplace();
    for (const Element& element : *elements) {
      shape->push_back(element.exact ? Dim(*element.exact) : Dim::named(element.symbol));
    }
    const bool zeros = value.dtype() == DType::kInt64 && shape->size() == 1 && (*shape)[0].known();
    if (zeros && (*shape)[0].extent <= 64) {
      c.set_elements(0, Elements(static_cast<size_t>((*shape)[0].extent),
                                 Element{value.data<int64_t>()[0], ""}));
    }
  } else if (const auto shape_of_input = c.dims(0); shape_of_input && shape_of_input->size() == 1) {
    shape = Shape(static_cast<size_t>((*shape_of_input)[0]));
  }
  c.set_output(0, value.dtype(), shape);
}

Kernel constant_of_shape_kernel(const Node& node, int) {
  return [value = fill_value(node)](KernelContext& c) {
    const size_t width = value.nbytes();
    Tensor& out = c.output(0, value.dtype(), to_int64s(c.input(0)));
    if (dtype_bits(value.dtype()) % 8 != 0) c.unsupported("a packed dtype");
    std::byte* to = out.mutable_bytes();
    for (int64_t i = 0; i < out.size(); ++i) {
      std::memcpy(to + static_cast<size_t>(i) * width, value.bytes(), width);
    }
  };
}

void infer_identity(InferContext& c) {
  c.set_output(0, c.dtype(0), c.shape(0));
  if (const auto elements = c.elements(0)) c.set_elements(0, *elements);
}

Kernel identity_kernel(const Node&, int) {
  return [](KernelContext& c) { c.set_output(0, c.held(0)); };
}

void infer_dropout(InferContext& c) {
  c.set_output(0, c.dtype(0), c.shape(0));
  c.set_output(1, c.opset() >= 10 ? DType::kBool : c.dtype(0), c.shape(0));
}

// Inference only: the data passes through, the mask is all true.
Kernel dropout_kernel(const Node&, int opset) {
  return [opset](KernelContext& c) {
    if (opset >= 12 && c.has_input(2) && to_int64s(c.input(2)).at(0) != 0) {
      c.unsupported("training mode");
    }
    c.set_output(0, c.input(0));
    if (!c.wants_output(1)) return;
    if (opset < 10) c.unsupported("the mask of this opset");
    Tensor& mask = c.output(1, DType::kBool, c.input(0).shape());
    std::memset(mask.mutable_bytes(), 1, mask.nbytes());
  };
}

// The axes [start, end) that Shape reports, clamped as the spec says.
std::pair<int64_t, int64_t> shape_range(const Node& node, int64_t rank) {
  auto clamped = [&](int64_t axis) {
    return std::clamp(axis < 0 ? axis + rank : axis, int64_t{0}, rank);
  };
  const int64_t start = clamped(node.int_attribute("start", 0));
  const int64_t end = clamped(node.int_attribute("end", rank));
  return {start, std::max(start, end)};
}

void infer_shape_op(InferContext& c) {
  const auto& shape = c.shape(0);
  if (!shape) {
    c.set_output(0, DType::kInt64, Shape(1));
    return;
  }
  const auto [start, end] = shape_range(c.node(), static_cast<int64_t>(shape->size()));
  Elements elements;
  for (int64_t axis = start; axis < end; ++axis) {
    const Dim& dim = (*shape)[static_cast<size_t>(axis)];
    elements.push_back(dim.known() ? Element{dim.extent, ""} : Element{std::nullopt, dim.symbol});
  }
  c.set_output(0, DType::kInt64, Shape{Dim(end - start)});
  c.set_elements(0, std::move(elements));
}

Kernel shape_kernel(const Node&, int) {
  return [](KernelContext& c) {
    const Dims& dims = c.input(0).shape();
    const auto [start, end] = shape_range(c.node(), c.input(0).rank());
    c.set_output(
        0, Tensor::of<int64_t>({end - start}, Dims(dims.begin() + start, dims.begin() + end)));
  };
}

void infer_size(InferContext& c) {
  c.set_output(0, DType::kInt64, Shape{});
  if (const auto dims = c.dims(0)) c.set_elements(0, {{element_count(*dims), ""}});
}

Kernel size_kernel(const Node&, int) {
  return [](KernelContext& c) { c.set_output(0, Tensor::scalar(c.input(0).size())); };
}

}  // namespace

std::span<const OpRow> constant_ops() {
  static constexpr OpRow kRows[] = {
      {"", "Constant", 1, infer_constant, constant_kernel, 0, kNoTraits, kNative},
      {"", "ConstantOfShape", 9, infer_constant_of_shape, constant_of_shape_kernel, 0, kNoTraits,
       kNative},
      {"", "Identity", 1, infer_identity, identity_kernel, 0, kMovesData, kNative},
      {"", "Dropout", 7, infer_dropout, dropout_kernel, 0, kMovesData, kNative},
      {"", "Shape", 1, infer_shape_op, shape_kernel, 0, kNoTraits, kNative},
      {"", "Size", 1, infer_size, size_kernel, 0, kNoTraits, kNative},
  };
  return kRows;
}

}  // namespace dwindle
