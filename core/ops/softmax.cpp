// Softmax, LogSoftmax, Hardmax: along one axis, and before opset 13 over all axes from one on.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/kernels/unary_f32/unary_f32.h"
#include "core/kernels/vector_math.h"
#include "core/ops/broadcast.h"
#include "core/ops/dispatch.h"
#include "core/ops/elementwise.h"
#include "core/ops/families.h"
#include "core/ops/lanes.h"

namespace dwindle {
namespace {

// Rows of `extent` elements that lie `stride` apart; there are `outer` · `stride` rows.
struct Rows {
  int64_t outer, extent, stride;
};

Rows rows_of(const KernelContext& c, const Dims& shape, int64_t axis, bool flattened) {
  const auto rank = static_cast<int64_t>(shape.size());
  // A scalar counts as one row of one element.
  if (rank == 0 && (axis == 0 || axis == -1)) return {1, 1, 1};
  // Flattening may start behind the last axis: then every element is a row of its own.
  axis = flattened && axis == rank ? rank : c.normalize_axis(axis, rank);
  Rows rows{1, 1, 1};
  for (int64_t i = 0; i < rank; ++i) {
    const int64_t extent = shape[static_cast<size_t>(i)];
    if (i < axis) {
      rows.outer *= extent;
    } else if (i == axis || flattened) {
      rows.extent *= extent;
    } else {
      rows.stride *= extent;
    }
  }
  return rows;
}

// e^(x - most), in place.
void exp_of_differences(float* x, int64_t count, float most) {
  kernels::unary_f32(
      {.function = kernels::UnaryFunction::kExp, .x = x, .count = count, .alpha = most, .y = x});
}

void exp_of_differences(double* x, int64_t count, double most) {
  for (int64_t i = 0; i < count; ++i) x[i] = fast_exp(x[i] - most);
}

struct Softmax {
  // One row in place.
  template <typename T>
  static void row(T* x, int64_t count) {
    const T most = max_of(x, count, -std::numeric_limits<T>::infinity());
    exp_of_differences(x, count, most);
    const T sum = sum_of(x, count);
    for (int64_t i = 0; i < count; ++i) x[i] /= sum;
  }
};

struct LogSoftmax {
  template <typename T>
  static void row(T* x, int64_t count) {
    const T most = max_of(x, count, -std::numeric_limits<T>::infinity());
    const T sum = fold_lanes(
        x, count, T{0}, [](T a, T b) { return a + b; },
        [most](T value) { return fast_exp(value - most); });
    const T log_sum = std::log(sum);
    for (int64_t i = 0; i < count; ++i) x[i] = (x[i] - most) - log_sum;
  }
};

// One at the first of the greatest elements.
struct Hardmax {
  template <typename T>
  static void row(T* x, int64_t count) {
    const int64_t best = std::max_element(x, x + count) - x;
    std::fill_n(x, count, T{0});
    x[best] = 1;
  }
};

// A block of neighbouring rows is gathered, so that strided rows are read a cache line at a time.
template <typename Op, typename T>
void run_rows(const T* in, T* out, const Rows& rows) {
  constexpr int64_t kBlock = 16;
  const int64_t blocks = (rows.stride + kBlock - 1) / kBlock;
  const int64_t work = rows.extent * std::min(rows.stride, kBlock);
  const int64_t grain = std::max<int64_t>(1, kElementGrain / 4 / std::max<int64_t>(work, 1));
  parallel_for(rows.outer * blocks, grain, [&](int64_t begin, int64_t end) {
    std::vector<T> gathered;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % blocks * kBlock;
      const int64_t count = std::min(kBlock, rows.stride - first);
      const int64_t base = i / blocks * rows.extent * rows.stride + first;
      if (rows.stride == 1) {
        std::copy_n(in + base, rows.extent, out + base);
        Op::row(out + base, rows.extent);
        continue;
      }
      gathered.resize(static_cast<size_t>(count * rows.extent));
      for (int64_t e = 0; e < rows.extent; ++e) {
        for (int64_t r = 0; r < count; ++r) {
          gathered[static_cast<size_t>(r * rows.extent + e)] = in[base + e * rows.stride + r];
        }
      }
      for (int64_t r = 0; r < count; ++r) Op::row(gathered.data() + r * rows.extent, rows.extent);
      for (int64_t e = 0; e < rows.extent; ++e) {
        for (int64_t r = 0; r < count; ++r) {
          out[base + e * rows.stride + r] = gathered[static_cast<size_t>(r * rows.extent + e)];
        }
      }
    }
  });
}

template <typename Op>
Kernel softmax_kernel(const Node& node, int opset) {
  const bool flattened = opset < 13;
  const int64_t axis = node.int_attribute("axis", flattened ? 1 : -1);
  return [=](KernelContext& c) {
    const Tensor& x = c.input(0);
    const Rows rows = rows_of(c, x.shape(), axis, flattened);
    dispatch(c, FloatTypes{}, x.dtype(), [&]<typename T>(TypeTag<T>) {
      T* out = c.output(0, x.dtype(), x.shape()).template mutable_data<T>();
      if (x.size() > 0) run_rows<Op>(x.data<T>(), out, rows);
    });
  };
}

}  // namespace

std::span<const OpRow> softmax_ops() {
  static constexpr OpRow kRows[] = {
      {"", "Softmax", 1, infer_same, softmax_kernel<Softmax>},
      {"", "LogSoftmax", 1, infer_same, softmax_kernel<LogSoftmax>},
      {"", "Hardmax", 1, infer_same, softmax_kernel<Hardmax>},
  };
  return kRows;
}

}  // namespace dwindle
