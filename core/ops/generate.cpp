// Ops that make tensors by rule: Range, OneHot, EyeLike, Trilu.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/ops/args.h"
#include "core/ops/families.h"
#include "core/ops/move.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

// ---- Range -------------------------------------------------------------------------------------

constexpr int64_t kLongestRange = int64_t{1} << 40;

// Numbers from start towards limit; none where delta leads away.
template <typename Context>
int64_t range_length(const Context& c, int64_t start, int64_t limit, int64_t delta) {
  if (delta == 0) c.fail("delta is 0");
  int64_t span = 0;
  if (__builtin_sub_overflow(limit, start, &span)) c.fail("the range is too long");
  if (span == 0 || (span > 0) != (delta > 0)) return 0;
  if (span > 0) return (span - 1) / delta + 1;
  return delta == INT64_MIN ? 1 : (span + 1) / delta + 1;
}

void infer_range(InferContext& c) {
  std::optional<int64_t> arguments[3];
  for (size_t i = 0; i < 3; ++i) {
    const auto values = is_integer(c.dtype(i)) ? c.integers(i) : std::nullopt;
    if (values && values->size() == 1) arguments[i] = (*values)[0];
  }
  Shape shape(1);
  if (arguments[0] && arguments[1] && arguments[2]) {
    const int64_t length = range_length(c, *arguments[0], *arguments[1], *arguments[2]);
    shape[0] = length;
    if (length <= 64) {
      Elements elements;
      for (int64_t i = 0; i < length; ++i) {
        elements.push_back({*arguments[0] + i * *arguments[2], ""});
      }
      c.set_elements(0, std::move(elements));
    }
  } else if (arguments[0] == 0 && arguments[2] == 1) {
    const auto limit = c.elements(1);
    if (limit && limit->size() == 1) shape[0] = to_dim((*limit)[0]);
  }
  c.set_output(0, c.dtype(0), std::move(shape));
}

template <typename T>
T scalar_input(const KernelContext& c, size_t i) {
  if (c.input(i).size() != 1) c.fail("input " + std::to_string(i) + " must be one number");
  return c.input(i).data<T>()[0];
}

template <typename T>
void integer_range(KernelContext& c) {
  const T start = scalar_input<T>(c, 0), delta = scalar_input<T>(c, 2);
  const int64_t length = range_length(c, start, scalar_input<T>(c, 1), delta);
  if (length > kLongestRange) c.fail("the range is too long");
  T* to = c.output(0, DTypeOf<T>::value, {length}).template mutable_data<T>();
  for (int64_t i = 0; i < length; ++i) to[i] = static_cast<T>(start + i * delta);
}

template <typename T>
void real_range(KernelContext& c) {
  const T start = scalar_input<T>(c, 0), limit = scalar_input<T>(c, 1);
  const T delta = scalar_input<T>(c, 2);
  const double steps = std::ceil((static_cast<double>(limit) - start) / delta);
  if (delta == 0 || !(steps < static_cast<double>(kLongestRange))) {
    c.fail("the range does not end");
  }
  const auto length = static_cast<int64_t>(std::max(steps, 0.0));
  T* to = c.output(0, DTypeOf<T>::value, {length}).template mutable_data<T>();
  for (int64_t i = 0; i < length; ++i) to[i] = start + static_cast<T>(i) * delta;
}

Kernel range_kernel(const Node&, int) {
  return [](KernelContext& c) {
    switch (c.input(0).dtype()) {
      case DType::kFloat:
        return real_range<float>(c);
      case DType::kDouble:
        return real_range<double>(c);
      case DType::kInt16:
        return integer_range<int16_t>(c);
      case DType::kInt32:
        return integer_range<int32_t>(c);
      case DType::kInt64:
        return integer_range<int64_t>(c);
      default:
        c.unsupported("a range of " + std::string(dtype_name(c.input(0).dtype())));
    }
  };
}

// ---- OneHot ------------------------------------------------------------------------------------

void infer_one_hot(InferContext& c) {
  const auto& indices = c.shape(0);
  if (!indices) return c.set_output(0, c.dtype(2));
  const auto rank = static_cast<int64_t>(indices->size()) + 1;
  const int64_t axis = c.normalize_axis(c.node().int_attribute("axis", -1), rank);
  Shape out = *indices;
  Dim depth;
  if (const auto elements = c.elements(1); elements && elements->size() == 1) {
    depth = to_dim((*elements)[0]);
  }
  out.insert(out.begin() + axis, depth);
  c.set_output(0, c.dtype(2), std::move(out));
}

// Indices and depth may be of any real dtype.
std::vector<int64_t> whole_numbers(const Tensor& tensor) {
  if (!is_floating(tensor.dtype())) return to_int64s(tensor);
  std::vector<int64_t> whole;
  for (float value : to_floats(tensor)) {
    const bool fits = std::fabs(value) < 0x1p62f;
    whole.push_back(fits ? static_cast<int64_t>(value) : INT64_MAX);
  }
  return whole;
}

void one_hot(KernelContext& c) {
  const Tensor& indices = c.input(0);
  const Tensor& values = c.input(2);
  const std::vector<int64_t> depths = whole_numbers(c.input(1));
  if (depths.size() != 1 || depths[0] < 1) c.fail("depth must be one number above 0");
  if (values.size() != 2) c.fail("values must be an off and an on value");
  const int64_t depth = depths[0];
  const int64_t axis = c.normalize_axis(c.node().int_attribute("axis", -1), indices.rank() + 1);
  Dims shape = indices.shape();
  shape.insert(shape.begin() + axis, depth);
  Tensor& out = c.output(0, values.dtype(), shape);
  const size_t width = element_bytes(values.dtype());
  std::byte* to = out.mutable_bytes();
  for (int64_t i = 0; i < out.size(); ++i) {
    std::memcpy(to + static_cast<size_t>(i) * width, values.bytes(), width);
  }
  const int64_t inner = element_count(Dims(shape.begin() + axis + 1, shape.end()));
  const std::vector<int64_t> hot = whole_numbers(indices);
  for (size_t i = 0; i < hot.size(); ++i) {
    // An index out of range leaves its row off.
    if (hot[i] < -depth || hot[i] >= depth) continue;
    const auto at = static_cast<int64_t>(i);
    const int64_t row = hot[i] < 0 ? hot[i] + depth : hot[i];
    const int64_t offset = (at / inner * depth + row) * inner + at % inner;
    std::memcpy(to + static_cast<size_t>(offset) * width, values.bytes() + width, width);
  }
}

Kernel one_hot_kernel(const Node&, int) { return any_dtype(one_hot, 1u << 2); }

// ---- EyeLike -----------------------------------------------------------------------------------

DType eye_dtype(const Node& node, DType input) {
  const int64_t dtype = node.int_attribute("dtype", static_cast<int64_t>(input));
  if (node.attribute("dtype") != nullptr && !is_known_dtype(static_cast<int32_t>(dtype))) {
    throw BadModel("EyeLike node '" + node.name + "': dtype is not known");
  }
  return static_cast<DType>(dtype);
}

void infer_eye(InferContext& c) { c.set_output(0, eye_dtype(c.node(), c.dtype(0)), c.shape(0)); }

// The number 1.
Tensor one_of(KernelContext& c, DType dtype) {
  switch (dtype) {
    case DType::kFloat:
      return Tensor::scalar(1.0f);
    case DType::kDouble:
      return Tensor::scalar(1.0);
    case DType::kFloat16:
      return Tensor::scalar(to_float16(1));
    case DType::kBfloat16:
      return Tensor::scalar(to_bfloat16(1));
    default: {
      if (!is_integer(dtype) && dtype != DType::kBool) {
        c.unsupported("a matrix of " + std::string(dtype_name(dtype)));
      }
      element_bytes(dtype);
      Tensor one = Tensor::zeros(dtype, {});
      one.mutable_bytes()[0] = std::byte{1};  // little-endian
      return one;
    }
  }
}

void eye_like(KernelContext& c) {
  const Dims& shape = c.input(0).shape();
  if (shape.size() != 2) c.fail("the input must be a matrix");
  const int64_t k = c.node().int_attribute("k", 0);
  const DType dtype = eye_dtype(c.node(), c.input(0).dtype());
  const Tensor one = one_of(c, dtype);
  Tensor out = Tensor::zeros(dtype, shape);
  const size_t width = element_bytes(dtype);
  std::byte* to = out.mutable_bytes();
  for (int64_t row = 0; row < shape[0]; ++row) {
    if (k < -shape[0] || k > shape[1] || row + k < 0 || row + k >= shape[1]) continue;
    std::memcpy(to + static_cast<size_t>(row * shape[1] + row + k) * width, one.bytes(), width);
  }
  c.set_output(0, std::move(out));
}

Kernel eye_kernel(const Node&, int) { return eye_like; }

// ---- Trilu -------------------------------------------------------------------------------------

void infer_trilu(InferContext& c) { c.set_output(0, c.dtype(0), c.shape(0)); }

void trilu(KernelContext& c) {
  const Tensor& in = c.input(0);
  if (in.rank() < 2) c.fail("the input must have two axes or more");
  const bool upper = c.node().int_attribute("upper", 1) != 0;
  int64_t k = 0;
  if (c.has_input(1)) {
    const auto given = to_int64s(c.input(1));
    if (given.size() != 1) c.fail("k must be one number");
    k = given[0];
  }
  const int64_t rows = in.shape()[in.shape().size() - 2], columns = in.shape().back();
  Tensor out = in;
  if (in.size() == 0) return c.set_output(0, std::move(out));
  const auto width = static_cast<int64_t>(element_bytes(in.dtype()));
  std::byte* to = out.mutable_bytes();
  k = std::clamp(k, -rows - 1, columns + 1);
  for (int64_t i = 0; i < in.size() / columns; ++i) {
    // Column `edge` is on the k-th diagonal.
    const int64_t edge = i % rows + k;
    const int64_t begin = upper ? 0 : std::clamp<int64_t>(edge + 1, 0, columns);
    const int64_t end = upper ? std::clamp<int64_t>(edge, 0, columns) : columns;
    std::memset(to + (i * columns + begin) * width, 0, static_cast<size_t>((end - begin) * width));
  }
  c.set_output(0, std::move(out));
}

Kernel trilu_kernel(const Node&, int) { return any_dtype(trilu, 1u << 0); }

}  // namespace

std::span<const OpRow> generate_ops() {
  static constexpr OpRow kRows[] = {
      {"", "Range", 11, infer_range, range_kernel},
      {"", "OneHot", 9, infer_one_hot, one_hot_kernel, 0, kNoTraits, kNative},
      {"", "EyeLike", 9, infer_eye, eye_kernel, 0, kNoTraits, kNative},
      {"", "Trilu", 14, infer_trilu, trilu_kernel, 0, kNoTraits, kNative},
  };
  return kRows;
}

}  // namespace dwindle
