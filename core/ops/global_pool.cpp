// Pooling of whole planes, and the way back from a MaxPool: GlobalAveragePool, GlobalMaxPool,
// GlobalLpPool, MaxUnpool.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/ops/args.h"
#include "core/ops/families.h"
#include "core/ops/move.h"
#include "core/ops/window.h"
#include "core/support/threads.h"

namespace dwindle {
namespace {

// ---- GlobalAveragePool, GlobalMaxPool, GlobalLpPool --------------------------------------------

void infer_global(InferContext& c) {
  const auto& x = c.shape(0);
  if (!x) return c.set_output(0, c.dtype(0));
  if (x->size() < 2) c.fail("the input must have a batch and a channel axis");
  Shape out(x->size(), Dim(1));
  out[0] = (*x)[0];
  out[1] = (*x)[1];
  c.set_output(0, c.dtype(0), std::move(out));
}

template <typename T, typename Reduce>
void reduce_planes(KernelContext& c, Reduce&& reduce) {
  const Tensor& x = c.input(0);
  if (x.rank() < 2) c.fail("the input must have a batch and a channel axis");
  Dims shape(x.shape().size(), 1);
  shape[0] = x.shape()[0];
  shape[1] = x.shape()[1];
  const int64_t planes = shape[0] * shape[1];
  T* to = c.output(0, x.dtype(), shape).template mutable_data<T>();
  if (planes == 0) return;
  const int64_t size = x.size() / planes;
  if (size == 0) c.fail("the input has an empty spatial axis");
  const T* from = x.data<T>();
  parallel_for(planes, 65536 / size + 1, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      to[plane] = reduce(from + plane * size, size);
    }
  });
}

// Sums f(x) in 16 strands, which a compiler can lay side by side.
template <typename T, typename F>
T sum_of(const T* x, int64_t size, F&& f) {
  std::array<T, 16> strands{};
  int64_t i = 0;
  for (; i + 16 <= size; i += 16) {
    for (size_t k = 0; k < 16; ++k) strands[k] += f(x[i + static_cast<int64_t>(k)]);
  }
  T total{};
  for (; i < size; ++i) total += f(x[i]);
  for (T strand : strands) total += strand;
  return total;
}

template <typename Body>
void with_real(KernelContext& c, Body&& body) {
  if (c.input(0).dtype() == DType::kDouble) return body(double{});
  body(float{});
}

Kernel global_average_kernel(const Node&, int) {
  return [](KernelContext& c) {
    with_real(c, [&](auto element) {
      using T = decltype(element);
      reduce_planes<T>(c, [](const T* x, int64_t size) {
        return sum_of(x, size, [](T value) { return value; }) / static_cast<T>(size);
      });
    });
  };
}

Kernel global_max_kernel(const Node&, int) {
  return [](KernelContext& c) {
    with_real(c, [&](auto element) {
      using T = decltype(element);
      reduce_planes<T>(c, [](const T* x, int64_t size) { return *std::max_element(x, x + size); });
    });
  };
}

Kernel global_lp_kernel(const Node& node, int) {
  const int64_t p = node.int_attribute("p", 2);
  return [p](KernelContext& c) {
    with_real(c, [&](auto element) {
      using T = decltype(element);
      const T power = static_cast<T>(p);
      reduce_planes<T>(c, [p, power](const T* x, int64_t size) {
        if (p == 2) return std::sqrt(sum_of(x, size, [](T value) { return value * value; }));
        return std::pow(
            sum_of(x, size, [power](T value) { return std::pow(std::fabs(value), power); }),
            1 / power);
      });
    });
  };
}

// ---- MaxUnpool ---------------------------------------------------------------------------------

// The shape that the pool began with, as far as its attributes tell.
template <typename Context>
Shape unpooled(const Context& c, const Shape& x) {
  const Window window = read_window(c.node(), {}, false);
  if (x.size() != window.axes.size() + 2) c.fail("kernel_shape does not fit the rank of the input");
  Shape out = {x[0], x[1]};
  for (size_t i = 0; i < window.axes.size(); ++i) {
    const WindowAxis& axis = window.axes[i];
    const Dim& dim = x[i + 2];
    int64_t extent = 0;
    if (dim.known() && __builtin_mul_overflow(dim.extent - 1, axis.stride, &extent)) {
      c.fail("the output is too large");
    }
    extent += axis.kernel - axis.pad_begin - axis.pad_end;
    if (dim.known() && extent < 0) c.fail("the pads take more than there is");
    out.push_back(dim.known() ? Dim(extent) : Dim());
  }
  return out;
}

void infer_max_unpool(InferContext& c) {
  if (c.has_input(2)) return c.set_output(0, c.dtype(0), shape_from_input(c, 2));
  const auto& x = c.shape(0);
  c.set_output(0, c.dtype(0), x ? std::optional(unpooled(c, *x)) : std::nullopt);
}

void max_unpool(KernelContext& c) {
  const Tensor& x = c.input(0);
  const std::vector<int64_t> indices = to_int64s(c.input(1));
  if (c.input(1).shape() != x.shape()) c.fail("the indices differ in shape from the input");
  const Dims shape = to_dims(unpooled(c, to_shape(x.shape())));
  // Another shape moves every index, in ONNX and in ONNX Runtime differently.
  if (c.has_input(2) && to_int64s(c.input(2)) != shape) c.unsupported("another output_shape");
  Tensor out = Tensor::zeros(x.dtype(), shape);
  const size_t width = element_bytes(x.dtype());
  std::byte* to = out.mutable_bytes();
  for (size_t i = 0; i < indices.size(); ++i) {
    if (indices[i] < 0 || indices[i] >= out.size()) {
      c.fail("index " + std::to_string(indices[i]) + " is out of range");
    }
    std::copy_n(x.bytes() + i * width, width, to + static_cast<size_t>(indices[i]) * width);
  }
  c.set_output(0, std::move(out));
}

Kernel max_unpool_kernel(const Node&, int) { return max_unpool; }

}  // namespace

std::span<const OpRow> global_pool_ops() {
  static constexpr OpRow kRows[] = {
      {"", "GlobalAveragePool", 1, infer_global, global_average_kernel},
      {"", "GlobalMaxPool", 1, infer_global, global_max_kernel},
      {"", "GlobalLpPool", 2, infer_global, global_lp_kernel},
      {"", "MaxUnpool", 9, infer_max_unpool, max_unpool_kernel, 0, kNoTraits, kNative},
  };
  return kRows;
}

}  // namespace dwindle
