// Ops that pick elements by index: Gather, GatherElements, GatherND.
#include <algorithm>
#include <cstring>

#include "core/ops/args.h"
#include "core/ops/families.h"
#include "core/ops/move.h"
#include "core/support/threads.h"

namespace dwindle {
namespace {

constexpr int64_t kParallelBytes = 1 << 16;

int64_t index_in(const KernelContext& c, int64_t index, int64_t extent) {
  if (index < -extent || index >= extent) {
    c.fail("index " + std::to_string(index) + " is out of range for an axis of " +
           std::to_string(extent));
  }
  return index < 0 ? index + extent : index;
}

int64_t count_of(const Dims& dims, size_t begin, size_t end) {
  return element_count(Dims(dims.begin() + static_cast<std::ptrdiff_t>(begin),
                            dims.begin() + static_cast<std::ptrdiff_t>(end)));
}

// ---- Gather ------------------------------------------------------------------------------------

void infer_gather(InferContext& c) {
  const auto &data = c.shape(0), &indices = c.shape(1);
  if (!data || !indices) return c.set_output(0, c.dtype(0));
  const auto axis =
      c.normalize_axis(c.node().int_attribute("axis", 0), static_cast<int64_t>(data->size()));
  Shape out(data->begin(), data->begin() + axis);
  out.insert(out.end(), indices->begin(), indices->end());
  out.insert(out.end(), data->begin() + axis + 1, data->end());
  const size_t rank = out.size();
  c.set_output(0, c.dtype(0), std::move(out));

  const auto elements = c.elements(0);
  const auto picks = c.integers(1);
  if (!elements || !picks || data->size() != 1 || rank > 1) return;
  Elements picked;
  const auto count = static_cast<int64_t>(elements->size());
  for (int64_t pick : *picks) {
    if (pick < -count || pick >= count) {
      c.fail("index " + std::to_string(pick) + " is out of range for an axis of " +
             std::to_string(count));
    }
    picked.push_back((*elements)[static_cast<size_t>(pick < 0 ? pick + count : pick)]);
  }
  c.set_elements(0, std::move(picked));
}

void gather(KernelContext& c) {
  const Tensor& data = c.input(0);
  const Tensor& indices = c.input(1);
  const auto axis = c.normalize_axis(c.node().int_attribute("axis", 0), data.rank());
  const auto at = static_cast<size_t>(axis);
  const int64_t extent = data.shape()[at];
  std::vector<int64_t> picks = to_int64s(indices);
  for (int64_t& pick : picks) pick = index_in(c, pick, extent);

  Dims shape(data.shape().begin(), data.shape().begin() + axis);
  shape.insert(shape.end(), indices.shape().begin(), indices.shape().end());
  shape.insert(shape.end(), data.shape().begin() + axis + 1, data.shape().end());
  Tensor& out = c.output(0, data.dtype(), shape);
  if (out.size() == 0) return;
  const int64_t outer = count_of(data.shape(), 0, at);
  const int64_t inner = count_of(data.shape(), at + 1, data.shape().size());
  const Dims dims = {outer, extent, inner};
  std::vector<int64_t> all_outer, all_inner;
  for (int64_t i = 0; i < outer; ++i) all_outer.push_back(i);
  for (int64_t i = 0; i < inner; ++i) all_inner.push_back(i);
  copy_mapped(element_bytes(data.dtype()), data.bytes(), dims, {all_outer, picks, all_inner},
              nullptr, out.mutable_bytes());
}

Kernel gather_kernel(const Node&, int) { return any_dtype(gather, 1u << 0); }

// ---- GatherElements ----------------------------------------------------------------------------

void infer_gather_elements(InferContext& c) { c.set_output(0, c.dtype(0), c.shape(1)); }

void gather_elements(KernelContext& c) {
  const Tensor& data = c.input(0);
  const Tensor& indices = c.input(1);
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
  const size_t width = element_bytes(data.dtype());
  std::byte* to = c.output(0, data.dtype(), indices.shape()).mutable_bytes();
  Dims index(data.shape().size(), 0);
  for (size_t i = 0; i < picks.size(); ++i) {
    int64_t offset = index_in(c, picks[i], data.shape()[axis]) * strides[axis];
    for (size_t k = 0; k < index.size(); ++k) offset += k == axis ? 0 : index[k] * strides[k];
    std::memcpy(to + i * width, data.bytes() + static_cast<size_t>(offset) * width, width);
    for (size_t k = index.size(); k-- > 0;) {
      if (++index[k] < indices.shape()[k]) break;
      index[k] = 0;
    }
  }
}

Kernel gather_elements_kernel(const Node&, int) { return any_dtype(gather_elements, 1u << 0); }

// ---- GatherND ----------------------------------------------------------------------------------

void infer_gather_nd(InferContext& c) {
  const auto &data = c.shape(0), &indices = c.shape(1);
  if (!data || !indices || indices->empty() || !indices->back().known()) {
    return c.set_output(0, c.dtype(0));
  }
  const int64_t batch = c.opset() >= 12 ? c.node().int_attribute("batch_dims", 0) : 0;
  const int64_t taken = batch + indices->back().extent;
  if (batch < 0 || batch >= static_cast<int64_t>(indices->size()) ||
      taken > static_cast<int64_t>(data->size())) {
    c.fail("indices or batch_dims do not fit the rank of the data");
  }
  Shape out(indices->begin(), indices->end() - 1);
  out.insert(out.end(), data->begin() + taken, data->end());
  c.set_output(0, c.dtype(0), std::move(out));
}

void gather_nd(KernelContext& c, int64_t batch) {
  const Tensor& data = c.input(0);
  const Tensor& indices = c.input(1);
  if (indices.rank() < 1 || batch < 0 || batch >= indices.rank()) {
    c.fail("batch_dims or indices are out of range");
  }
  const int64_t depth = indices.shape().back();
  if (batch + depth > data.rank()) c.fail("indices are longer than the data has axes");
  for (size_t i = 0; i < static_cast<size_t>(batch); ++i) {
    if (data.shape()[i] != indices.shape()[i]) c.fail("data and indices differ in a batch axis");
  }
  Dims shape(indices.shape().begin(), indices.shape().end() - 1);
  shape.insert(shape.end(), data.shape().begin() + batch + depth, data.shape().end());
  const std::vector<int64_t> picks = to_int64s(indices);
  const auto taken = static_cast<size_t>(batch + depth);
  const Dims strides = row_major_strides(data.shape());
  const int64_t block = count_of(data.shape(), taken, data.shape().size());
  const int64_t batches = count_of(data.shape(), 0, static_cast<size_t>(batch));
  const int64_t batch_size =
      count_of(data.shape(), static_cast<size_t>(batch), data.shape().size());
  Tensor& out = c.output(0, data.dtype(), shape);
  if (out.size() == 0) return;
  const int64_t tuples = out.size() / block;
  const int64_t bytes = block * static_cast<int64_t>(element_bytes(data.dtype()));
  const int64_t width = bytes / block;
  std::byte* to = out.mutable_bytes();
  parallel_for(
      tuples, std::max<int64_t>(1, kParallelBytes / bytes), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          int64_t offset = i / (tuples / batches) * batch_size;
          for (int64_t k = 0; k < depth; ++k) {
            const auto axis = static_cast<size_t>(batch + k);
            offset += index_in(c, picks[static_cast<size_t>(i * depth + k)], data.shape()[axis]) *
                      strides[axis];
          }
          std::memcpy(to + i * bytes, data.bytes() + offset * width, static_cast<size_t>(bytes));
        }
      });
}

Kernel gather_nd_kernel(const Node& node, int opset) {
  const int64_t batch = opset >= 12 ? node.int_attribute("batch_dims", 0) : 0;
  return any_dtype([batch](KernelContext& c) { gather_nd(c, batch); }, 1u << 0);
}

}  // namespace

std::span<const OpRow> gather_ops() {
  static constexpr OpRow kRows[] = {
      {"", "Gather", 1, infer_gather, gather_kernel, 1u << 0, kMovesData, kNative},
      {"", "GatherElements", 11, infer_gather_elements, gather_elements_kernel, 0, kMovesData,
       kNative},
      {"", "GatherND", 11, infer_gather_nd, gather_nd_kernel, 0, kMovesData, kNative},
  };
  return kRows;
}

}  // namespace dwindle
