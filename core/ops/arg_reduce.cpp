// Along one axis: ArgMax, ArgMin, CumSum, CumProd.
#include <vector>

#include "core/ops/axis_view.h"
#include "core/ops/broadcast.h"
#include "core/ops/dispatch.h"
#include "core/ops/elementwise.h"
#include "core/ops/families.h"

namespace dwindle {
namespace {

// --- ArgMax, ArgMin ---------------------------------------------------------------------------

struct ArgSpec {
  explicit ArgSpec(const Node& node)
      : axis(node.int_attribute("axis", 0)),
        keepdims(node.int_attribute("keepdims", 1) != 0),
        last(node.int_attribute("select_last_index", 0) != 0) {}

  template <typename S>
  S reduced(S shape, int64_t at) const {
    if (keepdims) {
      shape[static_cast<size_t>(at)] = 1;
    } else {
      shape.erase(shape.begin() + at);
    }
    return shape;
  }

  int64_t axis;
  bool keepdims, last;
};

void infer_arg(InferContext& c) {
  const auto& shape = c.shape(0);
  if (!shape) return c.set_output(0, DType::kInt64);
  const ArgSpec spec(c.node());
  const int64_t axis = c.normalize_axis(spec.axis, static_cast<int64_t>(shape->size()));
  c.set_output(0, DType::kInt64, spec.reduced(*shape, axis));
}

template <bool kGreatest, typename T>
bool beats(T candidate, T best, bool last) {
  if (last && candidate == best) return true;
  return kGreatest ? candidate > best : candidate < best;
}

template <bool kGreatest, typename T>
void arg_rows(const T* x, const AxisView& view, bool last, int64_t* out) {
  const int64_t grain =
      std::max<int64_t>(1, kElementGrain / std::max<int64_t>(view.extent * view.inner, 1));
  parallel_for(view.outer, grain, [=](int64_t begin, int64_t end) {
    std::vector<T> best(static_cast<size_t>(view.inner));
    for (int64_t o = begin; o < end; ++o) {
      const T* from = x + o * view.extent * view.inner;
      int64_t* index = out + o * view.inner;
      std::copy_n(from, view.inner, best.begin());
      std::fill_n(index, view.inner, int64_t{0});
      for (int64_t e = 1; e < view.extent; ++e) {
        const T* row = from + e * view.inner;
        for (int64_t i = 0; i < view.inner; ++i) {
          T& top = best[static_cast<size_t>(i)];
          if (!beats<kGreatest>(row[i], top, last)) continue;
          top = row[i];
          index[i] = e;
        }
      }
    }
  });
}

template <bool kGreatest>
Kernel arg_kernel(const Node& node, int) {
  return [spec = ArgSpec(node)](KernelContext& c) {
    const Tensor& x = c.input(0);
    const int64_t axis = c.normalize_axis(spec.axis, x.rank());
    const AxisView view(x.shape(), axis);
    Tensor& out = c.output(0, DType::kInt64, spec.reduced(x.shape(), axis));
    if (out.size() > 0 && view.extent == 0) c.fail("the axis has no elements");
    int64_t* index = out.mutable_data<int64_t>();
    dispatch(c, NumberTypes{}, x.dtype(), [&]<typename T>(TypeTag<T>) {
      if (out.size() > 0) arg_rows<kGreatest>(x.data<T>(), view, spec.last, index);
    });
  };
}

// --- CumSum, CumProd --------------------------------------------------------------------------

struct SumUp {
  static constexpr int kFirst = 0;
  template <typename T>
  static T join(T a, T b) {
    return wrapping_add(a, b);
  }
};

struct MultiplyUp {
  static constexpr int kFirst = 1;
  template <typename T>
  static T join(T a, T b) {
    return wrapping_mul(a, b);
  }
};

template <typename Op, typename T>
void accumulate(const T* x, T* out, const AxisView& view, bool exclusive, bool reverse) {
  for (int64_t o = 0; o < view.outer; ++o) {
    for (int64_t step = 0; step < view.extent; ++step) {
      const int64_t e = reverse ? view.extent - 1 - step : step;
      const int64_t previous = reverse ? e + 1 : e - 1;
      const T* from = x + o * view.extent * view.inner;
      T* to = out + o * view.extent * view.inner;
      // Exclusive results lag one step behind.
      const T* term = from + (exclusive ? previous : e) * view.inner;
      for (int64_t i = 0; i < view.inner; ++i) {
        if (step == 0) {
          to[e * view.inner + i] = exclusive ? static_cast<T>(Op::kFirst) : term[i];
        } else {
          to[e * view.inner + i] = Op::join(to[previous * view.inner + i], term[i]);
        }
      }
    }
  }
}

template <typename Op>
Kernel cumulative_kernel(const Node& node, int) {
  const bool exclusive = node.int_attribute("exclusive", 0) != 0;
  const bool reverse = node.int_attribute("reverse", 0) != 0;
  return [=](KernelContext& c) {
    const Tensor& x = c.input(0);
    const std::vector<int64_t> axis = to_int64s(c.input(1));
    if (axis.size() != 1) c.fail("axis must be one number");
    const AxisView view(x.shape(), c.normalize_axis(axis[0], x.rank()));
    dispatch(c, WideTypes{}, x.dtype(), [&]<typename T>(TypeTag<T>) {
      T* out = c.output(0, x.dtype(), x.shape()).template mutable_data<T>();
      if (x.size() > 0) accumulate<Op>(x.data<T>(), out, view, exclusive, reverse);
    });
  };
}

}  // namespace

std::span<const OpRow> arg_reduce_ops() {
  static constexpr OpRow kRows[] = {
      {"", "ArgMax", 1, infer_arg, arg_kernel<true>},
      {"", "ArgMin", 1, infer_arg, arg_kernel<false>},
      {"", "CumSum", 11, infer_same, cumulative_kernel<SumUp>},
      {"", "CumProd", 26, infer_same, cumulative_kernel<MultiplyUp>},
  };
  return kRows;
}

}  // namespace dwindle
