// Pooling by windows over one to three spatial axes: MaxPool, AveragePool, LpPool.
#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include "core/ops/families.h"
#include "core/ops/window.h"
#include "core/support/threads.h"

namespace dwindle {
namespace {

// Dilations count for AveragePool from opset 19 on, for LpPool from 18, for MaxPool from 10.
bool is_dilated(const Node& node, int opset) {
  return opset >= (node.op_type == "AveragePool" ? 19 : node.op_type == "LpPool" ? 18 : 10);
}

Window pool_window(const Node& node, int opset) {
  Window window = read_window(node, {}, is_dilated(node, opset));
  const bool has_ceil = opset >= (node.op_type == "LpPool" ? 18 : 10);
  window.ceil_mode = window.ceil_mode && has_ceil;
  return window;
}

void infer_pool(InferContext& c) {
  Window window = pool_window(c.node(), c.opset());
  const auto& x = c.shape(0);
  Shape out(window.axes.size() + 2);
  if (x && x->size() != out.size()) c.fail("kernel_shape does not fit the rank of the input");
  for (size_t i = 0; x && i < out.size(); ++i) {
    if (i < 2) {
      out[i] = (*x)[i];
    } else if ((*x)[i].known()) {
      out[i] = place_windows(c.node(), window, (*x)[i].extent, window.axes[i - 2]);
    }
  }
  c.set_output(0, c.dtype(0), out);
  c.set_output(1, DType::kInt64, out);
}

// ---- The planes that a pool works on -----------------------------------------------------------

// Depth, height, width; an axis that is not there has one element.
struct Pool {
  int64_t planes = 1;
  std::array<WindowAxis, 3> axes;
  std::array<int64_t, 3> in = {1, 1, 1}, out = {1, 1, 1};
  std::vector<WindowRange> columns;  // of each tap along the width
  Dims shape;                        // of the output

  int64_t in_size() const { return in[0] * in[1] * in[2]; }
  int64_t out_size() const { return out[0] * out[1] * out[2]; }
};

Pool pool_of(KernelContext& c, Window window) {
  const Tensor& x = c.input(0);
  const size_t spatial = window.axes.size();
  if (x.shape().size() != spatial + 2) c.fail("kernel_shape does not fit the rank of the input");
  if (spatial > 3) c.unsupported("a pool over " + std::to_string(spatial) + " axes");
  Pool pool;
  pool.planes = x.shape()[0] * x.shape()[1];
  pool.shape = {x.shape()[0], x.shape()[1]};
  for (size_t i = 0; i < spatial; ++i) {
    WindowAxis& axis = window.axes[i];
    const size_t at = i + 3 - spatial;
    pool.in[at] = x.shape()[i + 2];
    pool.out[at] = place_windows(c.node(), window, pool.in[at], axis);
    pool.axes[at] = axis;
    pool.shape.push_back(pool.out[at]);
    if (pool.in[at] == 0) c.fail("the input has an empty spatial axis");
    if (axis.pad_begin >= axis.reach() || axis.pad_end >= axis.reach()) {
      c.fail("a pad is not smaller than the window");
    }
  }
  for (int64_t tap = 0; tap < pool.axes[2].kernel; ++tap) {
    pool.columns.push_back(windows_inside(pool.axes[2], tap, pool.in[2], pool.out[2]));
  }
  return pool;
}

// Calls visit(tap's position in the axis, tap) for the taps of window `o` that lie inside.
template <typename Visit>
void for_taps(const WindowAxis& axis, int64_t in, int64_t o, Visit&& visit) {
  for (int64_t tap = 0; tap < axis.kernel; ++tap) {
    const int64_t at = o * axis.stride + tap * axis.dilation - axis.pad_begin;
    if (at >= 0 && at < in) visit(at);
  }
}

// Folds the windows of one input row: to[o] = take(to[o], x) for the elements x under window o.
template <typename T, typename Take>
void fold_row(const Pool& pool, const T* __restrict x, T* __restrict to, Take&& take) {
  const WindowAxis& width = pool.axes[2];
  for (int64_t tap = 0; tap < width.kernel; ++tap) {
    const WindowRange& range = pool.columns[static_cast<size_t>(tap)];
    const T* __restrict at = x + tap * width.dilation - width.pad_begin;
    if (width.stride == 1) {
      for (int64_t o = range.begin; o < range.end; ++o) to[o] = take(to[o], at[o]);
    } else {
      for (int64_t o = range.begin; o < range.end; ++o) to[o] = take(to[o], at[o * width.stride]);
    }
  }
}

// Folds every window of a plane: first along the rows, each input row once, then across them, where
// windows that overlap share what the rows gave. `take` folds an element, `join` what rows gave.
template <typename T, typename Take, typename Join>
void fold_plane(const Pool& pool, const T* x, T* y, T start, Take&& take, Join&& join) {
  const int64_t rows = pool.in[0] * pool.in[1], columns = pool.out[2];
  std::vector<T> folded(static_cast<size_t>(rows * columns), start);
  for (int64_t row = 0; row < rows; ++row) {
    fold_row(pool, x + row * pool.in[2], folded.data() + row * columns, take);
  }
  std::fill_n(y, pool.out_size(), start);
  for (int64_t row = 0; row < pool.out[0] * pool.out[1]; ++row) {
    T* __restrict to = y + row * columns;
    for_taps(pool.axes[0], pool.in[0], row / pool.out[1], [&](int64_t depth) {
      for_taps(pool.axes[1], pool.in[1], row % pool.out[1], [&](int64_t height) {
        const T* __restrict from = folded.data() + (depth * pool.in[1] + height) * columns;
        for (int64_t o = 0; o < columns; ++o) to[o] = join(to[o], from[o]);
      });
    });
  }
}

template <typename T, typename Body>
void for_planes(KernelContext& c, const Pool& pool, Body&& body) {
  const Tensor& x = c.input(0);
  Tensor& y = c.output(0, x.dtype(), pool.shape);
  if (y.size() == 0) return;
  const T* from = x.data<T>();
  T* to = y.mutable_data<T>();
  const int64_t work =
      pool.out_size() * pool.axes[0].kernel * pool.axes[1].kernel * pool.axes[2].kernel;
  parallel_for(pool.planes, 65536 / (work + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      body(from + plane * pool.in_size(), to + plane * pool.out_size());
    }
  });
}

// ---- MaxPool -----------------------------------------------------------------------------------

template <typename T>
constexpr T lowest() {
  return std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity()
                                              : std::numeric_limits<T>::lowest();
}

template <typename T>
void max_pool(KernelContext& c, const Pool& pool) {
  for_planes<T>(c, pool, [&](const T* x, T* y) {
    auto larger = [](T a, T b) { return b > a ? b : a; };
    fold_plane(pool, x, y, lowest<T>(), larger, larger);
  });
}

// Where each maximum was found, the first of equals, as an offset into the whole input.
template <typename T>
void max_indices(KernelContext& c, const Pool& pool, bool column_major) {
  const T* x = c.input(0).data<T>();
  int64_t* to = c.output(1, DType::kInt64, pool.shape).mutable_data<int64_t>();
  const auto& in = pool.in;
  for (int64_t i = 0; i < pool.planes * pool.out_size(); ++i) {
    const int64_t plane = i / pool.out_size(), o = i % pool.out_size();
    const T* from = x + plane * pool.in_size();
    T best = lowest<T>();
    int64_t found = -1;
    for_taps(pool.axes[0], in[0], o / pool.out[2] / pool.out[1], [&](int64_t d) {
      for_taps(pool.axes[1], in[1], o / pool.out[2] % pool.out[1], [&](int64_t h) {
        for_taps(pool.axes[2], in[2], o % pool.out[2], [&](int64_t w) {
          const T value = from[(d * in[1] + h) * in[2] + w];
          if (found >= 0 && !(value > best)) return;
          best = value;
          found = column_major ? (w * in[1] + h) * in[0] + d : (d * in[1] + h) * in[2] + w;
        });
      });
    });
    to[i] = plane * pool.in_size() + found;
  }
}

Kernel max_pool_kernel(const Node& node, int opset) {
  return [window = pool_window(node, opset),
          column_major = node.int_attribute("storage_order", 0) != 0](KernelContext& c) {
    const Pool pool = pool_of(c, window);
    auto run = [&](auto element) {
      using T = decltype(element);
      max_pool<T>(c, pool);
      if (c.wants_output(1)) max_indices<T>(c, pool, column_major);
    };
    switch (c.input(0).dtype()) {
      case DType::kFloat:
        return run(float{});
      case DType::kDouble:
        return run(double{});
      case DType::kInt8:
        return run(int8_t{});
      case DType::kUint8:
        return run(uint8_t{});
      default:
        c.unsupported("a pool of " + std::string(dtype_name(c.input(0).dtype())));
    }
  };
}

// ---- AveragePool -------------------------------------------------------------------------------

// The elements that each window along an axis counts: those inside, and those of the pads too where
// `padded`.
std::vector<int64_t> counts(const WindowAxis& axis, int64_t in, int64_t out, bool padded) {
  WindowAxis shifted = axis;
  if (padded) shifted.pad_begin = 0;
  const int64_t extent = padded ? in + axis.pad_begin + axis.pad_end : in;
  std::vector<int64_t> counted(static_cast<size_t>(out), 0);
  for (int64_t o = 0; o < out; ++o) {
    for_taps(shifted, extent, o, [&](int64_t) { ++counted[static_cast<size_t>(o)]; });
  }
  return counted;
}

template <typename T>
void average_pool(KernelContext& c, const Pool& pool, bool padded) {
  std::array<std::vector<int64_t>, 3> counted;
  for (size_t i = 0; i < 3; ++i) {
    counted[i] = counts(pool.axes[i], pool.in[i], pool.out[i], padded);
  }
  for_planes<T>(c, pool, [&](const T* x, T* y) {
    fold_plane(pool, x, y, T{0}, std::plus<T>(), std::plus<T>());
    for (int64_t depth : counted[0]) {
      for (int64_t height : counted[1]) {
        for (int64_t width : counted[2]) *y++ /= static_cast<T>(depth * height * width);
      }
    }
  });
}

Kernel average_pool_kernel(const Node& node, int opset) {
  return [window = pool_window(node, opset),
          padded = node.int_attribute("count_include_pad", 0) != 0](KernelContext& c) {
    const Pool pool = pool_of(c, window);
    if (c.input(0).dtype() == DType::kDouble) return average_pool<double>(c, pool, padded);
    average_pool<float>(c, pool, padded);
  };
}

// ---- LpPool ------------------------------------------------------------------------------------

Kernel lp_pool_kernel(const Node& node, int opset) {
  const auto p = static_cast<float>(node.int_attribute("p", 2));
  return [window = pool_window(node, opset), p](KernelContext& c) {
    const Pool pool = pool_of(c, window);
    for_planes<float>(c, pool, [&](const float* x, float* y) {
      if (p == 2) {
        auto add_square = [](float a, float b) { return a + b * b; };
        fold_plane(pool, x, y, 0.0f, add_square, std::plus<float>());
        for (int64_t i = 0; i < pool.out_size(); ++i) y[i] = std::sqrt(y[i]);
        return;
      }
      auto add_power = [p](float a, float b) { return a + std::pow(std::fabs(b), p); };
      fold_plane(pool, x, y, 0.0f, add_power, std::plus<float>());
      for (int64_t i = 0; i < pool.out_size(); ++i) y[i] = std::pow(y[i], 1 / p);
    });
  };
}

}  // namespace

std::span<const OpRow> pool_ops() {
  static constexpr OpRow kRows[] = {
      {"", "MaxPool", 1, infer_pool, max_pool_kernel},
      {"", "AveragePool", 7, infer_pool, average_pool_kernel},
      {"", "LpPool", 2, infer_pool, lp_pool_kernel},
  };
  return kRows;
}

}  // namespace dwindle
