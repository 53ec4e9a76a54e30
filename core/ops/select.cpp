// Ops whose output depends on which elements there are: NonZero, Compress, ReverseSequence, TopK,
// Unique.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/ops/args.h"
#include "core/ops/families.h"
#include "core/ops/move.h"
#include "core/support/threads.h"

namespace dwindle {
namespace {

std::vector<int64_t> all_of(int64_t count) {
  std::vector<int64_t> all(static_cast<size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

// The tensor's dims with everything before and behind `axis` in one.
Dims around_axis(const Dims& dims, size_t axis) {
  const auto at = dims.begin() + static_cast<std::ptrdiff_t>(axis);
  return {element_count(Dims(dims.begin(), at)), *at, element_count(Dims(at + 1, dims.end()))};
}

// The slices `picks` along `axis`.
Tensor take_slices(const Tensor& in, size_t axis, const std::vector<int64_t>& picks) {
  Dims shape = in.shape();
  shape[axis] = static_cast<int64_t>(picks.size());
  Tensor out = Tensor::allocate(in.dtype(), shape);
  const Dims dims = around_axis(in.shape(), axis);
  copy_mapped(element_bytes(in.dtype()), in.bytes(), dims,
              {all_of(dims[0]), picks, all_of(dims[2])}, nullptr, out.mutable_bytes());
  return out;
}

template <typename Body>
void with_number(const KernelContext& c, DType dtype, Body&& body) {
  switch (dtype) {
    case DType::kFloat:
      return body(float{});
    case DType::kDouble:
      return body(double{});
    case DType::kInt8:
      return body(int8_t{});
    case DType::kUint8:
      return body(uint8_t{});
    case DType::kInt16:
      return body(int16_t{});
    case DType::kUint16:
      return body(uint16_t{});
    case DType::kInt32:
      return body(int32_t{});
    case DType::kUint32:
      return body(uint32_t{});
    case DType::kInt64:
      return body(int64_t{});
    case DType::kUint64:
      return body(uint64_t{});
    case DType::kBool:
      return body(bool{});
    default:
      c.unsupported("a tensor of " + std::string(dtype_name(dtype)));
  }
}

// ---- NonZero -----------------------------------------------------------------------------------

void infer_non_zero(InferContext& c) {
  const auto rank = c.rank(0);
  c.set_output(0, DType::kInt64, Shape{rank ? Dim(std::max<int64_t>(*rank, 1)) : Dim(), Dim()});
}

Kernel non_zero_kernel(const Node&, int) {
  return [](KernelContext& c) {
    const Tensor& in = c.input(0);
    std::vector<int64_t> found;
    with_number(c, in.dtype(), [&](auto element) {
      const auto values = in.values<decltype(element)>();
      for (size_t i = 0; i < values.size(); ++i) {
        if (values[i] != decltype(element){}) found.push_back(static_cast<int64_t>(i));
      }
    });
    // A scalar counts as a tensor of one axis.
    const Dims dims = in.rank() == 0 ? Dims{1} : in.shape();
    const auto count = static_cast<int64_t>(found.size());
    Tensor& out = c.output(0, DType::kInt64, {static_cast<int64_t>(dims.size()), count});
    int64_t* to = out.mutable_data<int64_t>();
    for (size_t i = 0; i < found.size(); ++i) {
      int64_t rest = found[i];
      for (size_t axis = dims.size(); axis-- > 0;) {
        to[static_cast<int64_t>(axis) * count + static_cast<int64_t>(i)] = rest % dims[axis];
        rest /= dims[axis];
      }
    }
  };
}

// ---- Compress ----------------------------------------------------------------------------------

void infer_compress(InferContext& c) {
  if (c.node().attribute("axis") == nullptr) return c.set_output(0, c.dtype(0), Shape(1));
  std::optional<Shape> shape = c.shape(0);
  if (shape) {
    const int64_t axis = c.node().int_attribute("axis", 0);
    (*shape)[static_cast<size_t>(c.normalize_axis(axis, *c.rank(0)))] = {};
  }
  c.set_output(0, c.dtype(0), std::move(shape));
}

void compress(KernelContext& c) {
  Tensor in = c.input(0);
  size_t axis = 0;
  if (c.node().attribute("axis") == nullptr) {
    in = in.reshaped({in.size()});
  } else {
    axis = static_cast<size_t>(c.normalize_axis(c.node().int_attribute("axis", 0), in.rank()));
  }
  const std::vector<int64_t> condition = to_int64s(c.input(1));
  std::vector<int64_t> picks;
  for (size_t i = 0; i < condition.size(); ++i) {
    if (condition[i] != 0) picks.push_back(static_cast<int64_t>(i));
  }
  if (!picks.empty() && picks.back() >= in.shape()[axis]) c.fail("the condition is too long");
  c.set_output(0, take_slices(in, axis, picks));
}

Kernel compress_kernel(const Node&, int) { return any_dtype(compress, 1u << 0); }

// ---- ReverseSequence ---------------------------------------------------------------------------

void infer_reverse(InferContext& c) { c.set_output(0, c.dtype(0), c.shape(0)); }

void reverse_sequence(KernelContext& c) {
  const Tensor& in = c.input(0);
  const int64_t batch_axis = c.node().int_attribute("batch_axis", 1);
  const int64_t time_axis = c.node().int_attribute("time_axis", 0);
  if (in.rank() < 2 || batch_axis + time_axis != 1 || batch_axis * time_axis != 0) {
    c.fail("batch_axis and time_axis must be 0 and 1");
  }
  const std::vector<int64_t> lengths = to_int64s(c.input(1));
  const int64_t batches = in.shape()[static_cast<size_t>(batch_axis)];
  const int64_t times = in.shape()[static_cast<size_t>(time_axis)];
  if (static_cast<int64_t>(lengths.size()) != batches) c.fail("sequence_lens: one a batch");
  const Dims strides = row_major_strides(in.shape());
  const int64_t batch_stride = strides[static_cast<size_t>(batch_axis)];
  const int64_t time_stride = strides[static_cast<size_t>(time_axis)];
  Tensor& out = c.output(0, in.dtype(), in.shape());
  if (in.size() == 0) return;
  const auto bytes = strides[1] * static_cast<int64_t>(element_bytes(in.dtype()));
  std::byte* to = out.mutable_bytes();
  for (int64_t b = 0; b < batches; ++b) {
    const int64_t length = lengths[static_cast<size_t>(b)];
    if (length < 0 || length > times) c.fail("a sequence is longer than the input");
    for (int64_t t = 0; t < times; ++t) {
      const int64_t from = t < length ? length - 1 - t : t;
      const int64_t target = (b * batch_stride + t * time_stride) / strides[1];
      const int64_t source = (b * batch_stride + from * time_stride) / strides[1];
      std::copy_n(in.bytes() + source * bytes, bytes, to + target * bytes);
    }
  }
}

Kernel reverse_kernel(const Node&, int) { return any_dtype(reverse_sequence, 1u << 0); }

// ---- TopK --------------------------------------------------------------------------------------

// K: an attribute up to opset 9, an input from 10 on.
template <typename Context>
std::optional<int64_t> top_count(const Context& c, int opset) {
  if (opset < 10) return c.node().int_attribute("k", 0);
  const auto given = integers_of(c, 1);
  if (!given) return std::nullopt;
  if (given->size() != 1) c.fail("K must be one number");
  return (*given)[0];
}

void infer_top_k(InferContext& c) {
  std::optional<Shape> shape = c.shape(0);
  if (shape) {
    const int64_t axis = c.normalize_axis(c.node().int_attribute("axis", -1), *c.rank(0));
    const auto k = top_count(c, c.opset());
    (*shape)[static_cast<size_t>(axis)] = k && *k >= 0 ? Dim(*k) : Dim();
  }
  c.set_output(0, c.dtype(0), shape);
  c.set_output(1, DType::kInt64, shape);
}

// Orders NaN behind every number, so that sorting stays well defined.
template <typename T>
bool before(T a, T b, bool largest) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return !std::isnan(a) && std::isnan(b);
  }
  return largest ? a > b : a < b;
}

template <typename T>
void top_k(KernelContext& c, int64_t k, size_t axis, bool largest) {
  const Tensor& in = c.input(0);
  Dims shape = in.shape();
  const Dims dims = around_axis(shape, axis);
  shape[axis] = k;
  T* values = c.output(0, in.dtype(), shape).template mutable_data<T>();
  int64_t* indices = c.output(1, DType::kInt64, shape).template mutable_data<int64_t>();
  const T* from = in.data<T>();
  const int64_t inner = dims[2];
  parallel_for(dims[0] * inner, 65536 / (dims[1] + 1) + 1, [&](int64_t begin, int64_t end) {
    std::vector<int64_t> order(static_cast<size_t>(dims[1]));
    for (int64_t row = begin; row < end; ++row) {
      const T* line = from + row / inner * dims[1] * inner + row % inner;
      std::iota(order.begin(), order.end(), 0);
      std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int64_t a, int64_t b) {
        const T x = line[a * inner], y = line[b * inner];
        return before(x, y, largest) || (!before(y, x, largest) && a < b);
      });
      for (int64_t i = 0; i < k; ++i) {
        const int64_t to = (row / inner * k + i) * inner + row % inner;
        indices[to] = order[static_cast<size_t>(i)];
        values[to] = line[indices[to] * inner];
      }
    }
  });
}

Kernel top_k_kernel(const Node& node, int opset) {
  const bool largest = opset < 11 || node.int_attribute("largest", 1) != 0;
  return [opset, largest](KernelContext& c) {
    const Tensor& in = c.input(0);
    const auto axis =
        static_cast<size_t>(c.normalize_axis(c.node().int_attribute("axis", -1), in.rank()));
    const int64_t k = top_count(c, opset).value_or(0);
    if (k < 0 || k > in.shape()[axis]) c.fail("K is out of range");
    with_number(c, in.dtype(),
                [&](auto element) { top_k<decltype(element)>(c, k, axis, largest); });
  };
}

// ---- Unique ------------------------------------------------------------------------------------

void infer_unique(InferContext& c) {
  std::optional<Shape> shape = Shape(1);
  if (c.node().attribute("axis") != nullptr) {
    shape = c.shape(0);
    const int64_t axis = c.node().int_attribute("axis", 0);
    if (shape) (*shape)[static_cast<size_t>(c.normalize_axis(axis, *c.rank(0)))] = {};
  }
  c.set_output(0, c.dtype(0), std::move(shape));
  for (size_t i = 1; i < 4; ++i) c.set_output(i, DType::kInt64, Shape(1));
}

// Equal slices along an axis: for each group the first slice, its size, and which group each is in.
struct Groups {
  std::vector<int64_t> first, inverse, count;
};

// `dims` is [outer, slices, inner]; slices compare element by element.
template <typename T>
Groups group_slices(const T* data, const Dims& dims, bool sorted) {
  auto compare = [&](int64_t a, int64_t b) {
    for (int64_t i = 0; i < dims[0]; ++i) {
      for (int64_t k = 0; k < dims[2]; ++k) {
        const T x = data[(i * dims[1] + a) * dims[2] + k],
                y = data[(i * dims[1] + b) * dims[2] + k];
        if (before(x, y, false)) return -1;
        if (before(y, x, false)) return 1;
      }
    }
    return 0;
  };
  std::vector<int64_t> order = all_of(dims[1]);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return compare(a, b) < 0; });
  Groups groups;
  groups.inverse.resize(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || compare(order[i - 1], order[i]) != 0) {
      groups.first.push_back(order[i]);
      groups.count.push_back(0);
    }
    ++groups.count.back();
    groups.inverse[static_cast<size_t>(order[i])] = static_cast<int64_t>(groups.first.size()) - 1;
  }
  if (sorted) return groups;
  // In the order in which they appear.
  std::vector<int64_t> appearance = all_of(static_cast<int64_t>(groups.first.size()));
  std::sort(appearance.begin(), appearance.end(), [&](int64_t a, int64_t b) {
    return groups.first[static_cast<size_t>(a)] < groups.first[static_cast<size_t>(b)];
  });
  Groups out;
  std::vector<int64_t> place(appearance.size());
  for (size_t i = 0; i < appearance.size(); ++i) {
    const auto from = static_cast<size_t>(appearance[i]);
    place[from] = static_cast<int64_t>(i);
    out.first.push_back(groups.first[from]);
    out.count.push_back(groups.count[from]);
  }
  for (int64_t group : groups.inverse) out.inverse.push_back(place[static_cast<size_t>(group)]);
  return out;
}

Kernel unique_kernel(const Node& node, int) {
  const bool sorted = node.int_attribute("sorted", 1) != 0;
  return [sorted](KernelContext& c) {
    Tensor in = c.input(0);
    size_t axis = 0;
    if (c.node().attribute("axis") == nullptr) {
      in = in.reshaped({in.size()});
    } else {
      axis = static_cast<size_t>(c.normalize_axis(c.node().int_attribute("axis", 0), in.rank()));
    }
    Groups groups;
    with_number(c, in.dtype(), [&](auto element) {
      using T = decltype(element);
      groups = group_slices<T>(in.data<T>(), around_axis(in.shape(), axis), sorted);
    });
    auto indices = [](const std::vector<int64_t>& values) {
      return Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values);
    };
    c.set_output(0, take_slices(in, axis, groups.first));
    c.set_output(1, indices(groups.first));
    c.set_output(2, indices(groups.inverse));
    c.set_output(3, indices(groups.count));
  };
}

}  // namespace

std::span<const OpRow> select_ops() {
  static constexpr OpRow kRows[] = {
      {"", "NonZero", 9, infer_non_zero, non_zero_kernel},
      {"", "Compress", 9, infer_compress, compress_kernel, 0, kMovesData, kNative},
      {"", "ReverseSequence", 10, infer_reverse, reverse_kernel, 0, kMovesData, kNative},
      {"", "TopK", 1, infer_top_k, top_k_kernel},
      {"", "Unique", 11, infer_unique, unique_kernel},
  };
  return kRows;
}

}  // namespace dwindle
