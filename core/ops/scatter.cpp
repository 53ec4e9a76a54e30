// Ops that write elements by index into a copy of a tensor: ScatterElements (Scatter before opset
// 11), ScatterND, TensorScatter.
#include <algorithm>
#include <cstring>

#include "core/ops/args.h"
#include "core/ops/families.h"
#include "core/ops/move.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

// ---- Reductions --------------------------------------------------------------------------------

enum class Reduction { kNone, kAdd, kMul, kMin, kMax };

Reduction read_reduction(const Node& node) {
  const std::string text = node.string_attribute("reduction", "none");
  if (text == "none") return Reduction::kNone;
  if (text == "add") return Reduction::kAdd;
  if (text == "mul") return Reduction::kMul;
  if (text == "min") return Reduction::kMin;
  if (text == "max") return Reduction::kMax;
  throw BadModel(node.op_type + " node '" + node.name + "': reduction '" + text + "' is not known");
}

template <typename T>
T reduced(Reduction reduction, T a, T b) {
  switch (reduction) {
    case Reduction::kAdd:
      return static_cast<T>(a + b);
    case Reduction::kMul:
      return static_cast<T>(a * b);
    case Reduction::kMin:
      return b < a ? b : a;
    case Reduction::kMax:
      return a < b ? b : a;
    default:
      return b;
  }
}
// Bools add as "or" and multiply as "and".
template <>
bool reduced(Reduction reduction, bool a, bool b) {
  if (reduction == Reduction::kNone) return b;
  return reduction == Reduction::kAdd || reduction == Reduction::kMax ? a || b : a && b;
}
template <>
Float16 reduced(Reduction reduction, Float16 a, Float16 b) {
  return to_float16(reduced(reduction, to_float(a), to_float(b)));
}
template <>
Bfloat16 reduced(Reduction reduction, Bfloat16 a, Bfloat16 b) {
  return to_bfloat16(reduced(reduction, to_float(a), to_float(b)));
}

// Folds `count` elements at `from` into those at `to`.
using Fold = void (*)(Reduction reduction, std::byte* to, const std::byte* from, int64_t count);

template <typename T>
void fold(Reduction reduction, std::byte* to, const std::byte* from, int64_t count) {
  T* a = reinterpret_cast<T*>(to);
  const T* b = reinterpret_cast<const T*>(from);
  for (int64_t i = 0; i < count; ++i) a[i] = reduced(reduction, a[i], b[i]);
}

Fold fold_of(const KernelContext& c, DType dtype) {
  switch (dtype) {
    case DType::kFloat:
      return fold<float>;
    case DType::kDouble:
      return fold<double>;
    case DType::kInt8:
      return fold<int8_t>;
    case DType::kUint8:
      return fold<uint8_t>;
    case DType::kInt16:
      return fold<int16_t>;
    case DType::kUint16:
      return fold<uint16_t>;
    case DType::kInt32:
      return fold<int32_t>;
    case DType::kUint32:
      return fold<uint32_t>;
    case DType::kInt64:
      return fold<int64_t>;
    case DType::kUint64:
      return fold<uint64_t>;
    case DType::kBool:
      return fold<bool>;
    case DType::kFloat16:
      return fold<Float16>;
    case DType::kBfloat16:
      return fold<Bfloat16>;
    default:
      c.unsupported("a reduction of " + std::string(dtype_name(dtype)));
  }
}

// Writes or folds stretches of elements into a tensor.
class Writer {
 public:
  Writer(const KernelContext& c, Tensor& out, const Tensor& updates, Reduction reduction)
      : reduction_(reduction),
        width_(static_cast<int64_t>(element_bytes(out.dtype()))),
        to_(out.mutable_bytes()),
        from_(updates.bytes()) {
    if (updates.dtype() != out.dtype()) c.fail("the updates differ in dtype from the data");
    if (reduction != Reduction::kNone) fold_ = fold_of(c, out.dtype());
  }
  void write(int64_t to, int64_t from, int64_t count) const {
    std::byte* target = to_ + to * width_;
    const std::byte* source = from_ + from * width_;
    if (fold_ != nullptr) return fold_(reduction_, target, source, count);
    std::memcpy(target, source, static_cast<size_t>(count * width_));
  }

 private:
  Reduction reduction_;
  int64_t width_;
  std::byte* to_;
  const std::byte* from_;
  Fold fold_ = nullptr;
};

int64_t index_in(const KernelContext& c, int64_t index, int64_t extent) {
  if (index < -extent || index >= extent) {
    c.fail("index " + std::to_string(index) + " is out of range for an axis of " +
           std::to_string(extent));
  }
  return index < 0 ? index + extent : index;
}

void infer_like_data(InferContext& c) { c.set_output(0, c.dtype(0), c.shape(0)); }

// A reduction computes, which stand-ins of packed dtypes and strings would get wrong.
Kernel for_dtypes(Reduction reduction, Kernel kernel) {
  return reduction == Reduction::kNone ? any_dtype(std::move(kernel), 1u << 0 | 1u << 2) : kernel;
}

// ---- ScatterElements ---------------------------------------------------------------------------

void scatter_elements(KernelContext& c, Reduction reduction) {
  const Tensor& data = c.input(0);
  const Tensor& indices = c.input(1);
  const Tensor& updates = c.input(2);
  if (indices.shape() != updates.shape()) c.fail("the updates differ in shape from the indices");
  if (data.rank() != indices.rank()) c.fail("data and indices differ in rank");
  const auto axis =
      static_cast<size_t>(c.normalize_axis(c.node().int_attribute("axis", 0), data.rank()));
  for (size_t i = 0; i < data.shape().size(); ++i) {
    if (i != axis && indices.shape()[i] > data.shape()[i]) {
      c.fail("indices reach beyond the data along axis " + std::to_string(i));
    }
  }
  const Dims strides = row_major_strides(data.shape());
  const std::vector<int64_t> picks = to_int64s(indices);
  Tensor out = data;
  const Writer writer(c, out, updates, reduction);
  Dims index(data.shape().size(), 0);
  for (size_t i = 0; i < picks.size(); ++i) {
    int64_t offset = index_in(c, picks[i], data.shape()[axis]) * strides[axis];
    for (size_t k = 0; k < index.size(); ++k) offset += k == axis ? 0 : index[k] * strides[k];
    writer.write(offset, static_cast<int64_t>(i), 1);
    for (size_t k = index.size(); k-- > 0;) {
      if (++index[k] < indices.shape()[k]) break;
      index[k] = 0;
    }
  }
  c.set_output(0, std::move(out));
}

Kernel scatter_elements_kernel(const Node& node, int opset) {
  const Reduction reduction = opset >= 16 ? read_reduction(node) : Reduction::kNone;
  return for_dtypes(reduction, [reduction](KernelContext& c) { scatter_elements(c, reduction); });
}

// ---- ScatterND ---------------------------------------------------------------------------------

void scatter_nd(KernelContext& c, Reduction reduction) {
  const Tensor& data = c.input(0);
  const Tensor& indices = c.input(1);
  const Tensor& updates = c.input(2);
  if (indices.rank() < 1) c.fail("the indices have no axis");
  const int64_t depth = indices.shape().back();
  if (depth > data.rank()) c.fail("indices are longer than the data has axes");
  Dims expected(indices.shape().begin(), indices.shape().end() - 1);
  const int64_t tuples = element_count(expected);
  expected.insert(expected.end(), data.shape().begin() + depth, data.shape().end());
  if (updates.shape() != expected) {
    c.fail("the updates are " + to_string(updates.shape()) + ", not " + to_string(expected));
  }
  const Dims strides = row_major_strides(data.shape());
  const std::vector<int64_t> picks = to_int64s(indices);
  Tensor out = data;
  const Writer writer(c, out, updates, reduction);
  const int64_t block = element_count(Dims(data.shape().begin() + depth, data.shape().end()));
  for (int64_t i = 0; i < tuples; ++i) {
    int64_t offset = 0;
    for (int64_t k = 0; k < depth; ++k) {
      const auto axis = static_cast<size_t>(k);
      offset += index_in(c, picks[static_cast<size_t>(i * depth + k)], data.shape()[axis]) *
                strides[axis];
    }
    writer.write(offset, i * block, block);
  }
  c.set_output(0, std::move(out));
}

Kernel scatter_nd_kernel(const Node& node, int opset) {
  const Reduction reduction = opset >= 16 ? read_reduction(node) : Reduction::kNone;
  return for_dtypes(reduction, [reduction](KernelContext& c) { scatter_nd(c, reduction); });
}

// ---- TensorScatter: a key/value cache takes new entries ----------------------------------------

void tensor_scatter(KernelContext& c, bool circular) {
  const Tensor& cache = c.input(0);
  const Tensor& update = c.input(1);
  const auto axis =
      static_cast<size_t>(c.normalize_axis(c.node().int_attribute("axis", -2), cache.rank()));
  if (axis == 0) c.fail("axis is that of the batch");
  Dims expected = cache.shape();
  if (update.shape().size() != expected.size()) c.fail("the update differs in rank");
  expected[axis] = update.shape()[axis];
  if (update.shape() != expected) c.fail("the update differs in shape outside the axis");
  const int64_t batches = cache.shape()[0], room = cache.shape()[axis], length = expected[axis];
  std::vector<int64_t> starts(static_cast<size_t>(batches), 0);
  if (c.has_input(2)) starts = to_int64s(c.input(2));
  if (static_cast<int64_t>(starts.size()) != batches) c.fail("write_indices: one a batch");
  if (length > room) c.fail("the update is longer than the cache");
  const int64_t inner = row_major_strides(cache.shape())[axis];
  int64_t outer = 1;
  for (size_t i = 1; i < axis; ++i) outer *= cache.shape()[i];
  Tensor out = cache;
  const Writer writer(c, out, update, Reduction::kNone);
  for (int64_t i = 0; i < batches * outer; ++i) {
    const int64_t start = starts[static_cast<size_t>(i / outer)];
    if (start < 0 || (!circular && start > room - length)) c.fail("a write index is out of range");
    for (int64_t k = 0; k < length; ++k) {
      writer.write((i * room + (start % room + k) % room) * inner, (i * length + k) * inner, inner);
    }
  }
  c.set_output(0, std::move(out));
}

Kernel tensor_scatter_kernel(const Node& node, int) {
  const std::string mode = node.string_attribute("mode", "linear");
  if (mode != "linear" && mode != "circular") {
    throw BadModel("TensorScatter node '" + node.name + "': mode '" + mode + "' is not known");
  }
  return any_dtype(
      [circular = mode == "circular"](KernelContext& c) { tensor_scatter(c, circular); },
      1u << 0 | 1u << 1);
}

}  // namespace

std::span<const OpRow> scatter_ops() {
  static constexpr OpRow kRows[] = {
      {"", "Scatter", 9, infer_like_data, scatter_elements_kernel, 0, kNoTraits, kNative},
      {"", "ScatterElements", 11, infer_like_data, scatter_elements_kernel, 0, kNoTraits, kNative},
      {"", "ScatterND", 11, infer_like_data, scatter_nd_kernel, 0, kNoTraits, kNative},
      {"", "TensorScatter", 24, infer_like_data, tensor_scatter_kernel, 0, kNoTraits, kNative},
  };
  return kRows;
}

}  // namespace dwindle
