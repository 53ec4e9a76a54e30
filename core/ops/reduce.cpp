// ReduceSum, ReduceMean, ReduceMax, ReduceMin, ReduceProd, ReduceL1, ReduceL2, ReduceLogSum,
// ReduceLogSumExp, ReduceSumSquare. Axes come from an attribute, or in later opsets from an input.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/ops/dispatch.h"
#include "core/ops/families.h"
#include "core/ops/lanes.h"
#include "core/ops/reduce_axes.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

// A reduction folds terms of the elements with `join` from `first`, and finishes the result.
// Accumulation of floats is in their own type: eight lanes keep the error of long sums small.

struct SumJoin {
  template <typename T>
  static T first() {
    return T{0};
  }
  template <typename T>
  static T join(T a, T b) {
    return wrapping_add(a, b);
  }
  template <typename T>
  static T term(T x) {
    return x;
  }
  template <typename T>
  static T finish(T x, int64_t) {
    return x;
  }
};

struct MeanOp : SumJoin {
  template <typename T>
  static T finish(T x, int64_t count) {
    if constexpr (std::is_integral_v<T>) {
      return count == 0 ? T{0} : static_cast<T>(x / static_cast<T>(count));
    } else {
      return x / static_cast<T>(count);
    }
  }
};

template <typename T>
T magnitude(T x) {
  if constexpr (std::is_unsigned_v<T>) return x;
  if constexpr (std::is_integral_v<T>) return x < 0 ? wrapping_sub(T{0}, x) : x;
  if constexpr (std::is_floating_point_v<T>) return std::abs(x);
}

struct L1Op : SumJoin {
  template <typename T>
  static T term(T x) {
    return magnitude(x);
  }
};

struct SumSquareOp : SumJoin {
  template <typename T>
  static T term(T x) {
    return wrapping_mul(x, x);
  }
};

struct L2Op : SumSquareOp {
  template <typename T>
  static T finish(T x, int64_t) {
    if constexpr (std::is_floating_point_v<T>) return std::sqrt(x);
    return static_cast<T>(std::sqrt(static_cast<double>(x)));
  }
};

struct LogSumOp : SumJoin {
  template <typename T>
  static T finish(T x, int64_t) {
    return std::log(x);
  }
};

struct ProdOp : SumJoin {
  template <typename T>
  static T first() {
    return T{1};
  }
  template <typename T>
  static T join(T a, T b) {
    return wrapping_mul(a, b);
  }
};

// NaN wins, as in numpy.
struct MaxOp : SumJoin {
  template <typename T>
  static T first() {
    if constexpr (std::is_floating_point_v<T>) return -std::numeric_limits<T>::infinity();
    return std::numeric_limits<T>::lowest();
  }
  template <typename T>
  static T join(T a, T b) {
    return b > a || b != b ? b : a;
  }
};

struct MinOp : SumJoin {
  template <typename T>
  static T first() {
    if constexpr (std::is_floating_point_v<T>) return std::numeric_limits<T>::infinity();
    return std::numeric_limits<T>::max();
  }
  template <typename T>
  static T join(T a, T b) {
    return b < a || b != b ? b : a;
  }
};

// --- Loops ------------------------------------------------------------------------------------

// x is seen as axes in turn kept and reduced. The innermost reduced axis is folded either along
// itself (contiguous) or, with kept elements innermost, for a whole row of results at a time.
template <typename Op, typename T>
class Reducer {
 public:
  Reducer(const ReduceAxes& axes, const T* x, T* out) : axes_(axes), x_(x), out_(out) {}

  void run() {
    const int64_t results = axes_.kept_count();
    const int64_t width = axes_.inner_kept();  // results that are computed side by side
    if (results == 0) return;
    const int64_t work = axes_.reduced_count() * width;
    const int64_t grain = std::max<int64_t>(1, 32768 / std::max<int64_t>(work, 1));
    parallel_for(results / width, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) reduce(i * width, width);
    });
  }

 private:
  void reduce(int64_t first_result, int64_t width) {
    T* out = out_ + first_result;
    std::fill_n(out, width, Op::template first<T>());
    const T* base = x_ + axes_.kept_offset(first_result);
    axes_.for_each_reduced_run([&](int64_t offset, int64_t count, int64_t stride) {
      if (stride == 1 && width == 1) {
        const T run = fold_lanes(
            base + offset, count, Op::template first<T>(), [](T a, T b) { return Op::join(a, b); },
            [](T value) { return Op::term(value); });
        *out = Op::join(*out, run);
        return;
      }
      for (int64_t r = 0; r < count; ++r) {
        const T* __restrict row = base + offset + r * stride;
        T* __restrict to = out;
        for (int64_t i = 0; i < width; ++i) to[i] = Op::join(to[i], Op::term(row[i]));
      }
    });
    for (int64_t i = 0; i < width; ++i) out[i] = Op::finish(out[i], axes_.reduced_count());
  }

  const ReduceAxes& axes_;
  const T* x_;
  T* out_;
};

template <typename Op>
void reduce_to(KernelContext& c, const ReduceSpec& spec) {
  const Tensor& x = c.input(0);
  const std::vector<int64_t> axes = spec.axes(c);
  const ReduceAxes layout(x.shape(), axes);
  const Dims shape = reduced_shape(x.shape(), axes, spec.keepdims);
  auto run = [&]<typename T>(TypeTag<T>) {
    T* out = c.output(0, x.dtype(), shape).template mutable_data<T>();
    Reducer<Op, T>(layout, x.data<T>(), out).run();
  };
  using Extremes = TypeList<float, double, int8_t, uint8_t, int32_t, uint32_t, int64_t, uint64_t>;
  if constexpr (std::is_same_v<Op, MaxOp> || std::is_same_v<Op, MinOp>) {
    if (x.dtype() == DType::kBool) {
      // The greatest of bools as bytes: what any() is to bools. A byte that is neither 0 nor 1
      // cannot come from an op.
      uint8_t* out = c.output(0, DType::kBool, shape).mutable_data<uint8_t>();
      return Reducer<Op, uint8_t>(layout, x.data<uint8_t>(), out).run();
    }
    dispatch(c, Extremes{}, x.dtype(), run);
  } else if constexpr (std::is_same_v<Op, LogSumOp>) {
    dispatch(c, FloatTypes{}, x.dtype(), run);
  } else {
    dispatch(c, WideTypes{}, x.dtype(), run);
  }
}

template <typename Op>
Kernel reduce_kernel(const Node& node, int opset) {
  return [spec = ReduceSpec(node, opset)](KernelContext& c) { reduce_to<Op>(c, spec); };
}

// log(sum(exp(x - most))) + most, which neither overflows nor loses all precision.
template <typename T>
void log_sum_exp(KernelContext& c, const Tensor& x, const ReduceAxes& layout, const Dims& shape) {
  Tensor most = Tensor::allocate(x.dtype(), shape);
  Reducer<MaxOp, T>(layout, x.data<T>(), most.mutable_data<T>()).run();
  T* out = c.output(0, x.dtype(), shape).template mutable_data<T>();
  const T* tops = most.data<T>();
  const T* in = x.data<T>();
  for (int64_t i = 0; i < most.size(); ++i) {
    const T top = std::isfinite(tops[i]) ? tops[i] : T{0};
    T sum = 0;
    const T* base = in + layout.kept_offset(i);
    layout.for_each_reduced_run([&](int64_t offset, int64_t count, int64_t stride) {
      for (int64_t r = 0; r < count; ++r) sum += std::exp(base[offset + r * stride] - top);
    });
    out[i] = std::log(sum) + top;
  }
}

Kernel log_sum_exp_kernel(const Node& node, int opset) {
  return [spec = ReduceSpec(node, opset)](KernelContext& c) {
    const Tensor& x = c.input(0);
    const std::vector<int64_t> axes = spec.axes(c);
    dispatch(c, FloatTypes{}, x.dtype(), [&]<typename T>(TypeTag<T>) {
      log_sum_exp<T>(c, x, ReduceAxes(x.shape(), axes),
                     reduced_shape(x.shape(), axes, spec.keepdims));
    });
  };
}

// --- Rows -------------------------------------------------------------------------------------

// Known elements of a vector reduce to one known element.
template <int64_t (*join)(int64_t, int64_t)>
void infer_reduced_elements(InferContext& c) {
  infer_reduce(c);
  const auto elements = c.elements(0);
  if (!elements || elements->empty() || !is_integer(c.dtype(0)) || c.rank(0) != 1) return;
  // All axes of a vector, or none where that is what no axes mean.
  if (!reduces_all(c)) return;
  int64_t result = 0;
  for (size_t i = 0; i < elements->size(); ++i) {
    if (!(*elements)[i].exact) return;
    result = i == 0 ? *(*elements)[i].exact : join(result, *(*elements)[i].exact);
  }
  c.set_elements(0, {{result, ""}});
}

int64_t join_sum(int64_t a, int64_t b) { return wrapping_add(a, b); }
int64_t join_product(int64_t a, int64_t b) { return wrapping_mul(a, b); }
int64_t join_max(int64_t a, int64_t b) { return std::max(a, b); }
int64_t join_min(int64_t a, int64_t b) { return std::min(a, b); }

}  // namespace

std::span<const OpRow> reduce_ops() {
  static constexpr OpRow kRows[] = {
      {"", "ReduceSum", 1, infer_reduced_elements<join_sum>, reduce_kernel<SumJoin>},
      {"", "ReduceMean", 1, infer_reduce, reduce_kernel<MeanOp>},
      {"", "ReduceMax", 1, infer_reduced_elements<join_max>, reduce_kernel<MaxOp>},
      {"", "ReduceMin", 1, infer_reduced_elements<join_min>, reduce_kernel<MinOp>},
      {"", "ReduceProd", 1, infer_reduced_elements<join_product>, reduce_kernel<ProdOp>},
      {"", "ReduceL1", 1, infer_reduce, reduce_kernel<L1Op>},
      {"", "ReduceL2", 1, infer_reduce, reduce_kernel<L2Op>},
      {"", "ReduceLogSum", 1, infer_reduce, reduce_kernel<LogSumOp>},
      {"", "ReduceLogSumExp", 1, infer_reduce, log_sum_exp_kernel},
      {"", "ReduceSumSquare", 1, infer_reduce, reduce_kernel<SumSquareOp>},
  };
  return kRows;
}

}  // namespace dwindle
