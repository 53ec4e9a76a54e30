// Arithmetic of two tensors or more that broadcast: Add, Sub, Mul, Div, Mod, Pow, PRelu, Min, Max,
// Sum, Mean.
#include <cmath>
#include <limits>

#include "core/ops/elementwise.h"
#include "core/ops/families.h"

namespace dwindle {
namespace {

// --- Known elements ---------------------------------------------------------------------------

const Element kUnknown{};

bool is_exactly(const Element& e, int64_t value) { return e.exact && *e.exact == value; }

Element add_elements(const Element& a, const Element& b) {
  if (is_exactly(a, 0)) return b;
  if (is_exactly(b, 0)) return a;
  int64_t sum = 0;
  if (!a.exact || !b.exact || __builtin_add_overflow(*a.exact, *b.exact, &sum)) return kUnknown;
  return {sum, ""};
}

Element sub_elements(const Element& a, const Element& b) {
  if (is_exactly(b, 0)) return a;
  if (!a.exact && !a.symbol.empty() && a == b) return {0, ""};
  int64_t difference = 0;
  const bool exact = a.exact && b.exact && !__builtin_sub_overflow(*a.exact, *b.exact, &difference);
  return exact ? Element{difference, ""} : kUnknown;
}

Element mul_elements(const Element& a, const Element& b) {
  if (is_exactly(a, 1)) return b;
  if (is_exactly(b, 1)) return a;
  if (is_exactly(a, 0) || is_exactly(b, 0)) return {0, ""};
  int64_t product = 0;
  if (!a.exact || !b.exact || __builtin_mul_overflow(*a.exact, *b.exact, &product)) return kUnknown;
  return {product, ""};
}

Element div_elements(const Element& a, const Element& b) {
  if (is_exactly(b, 1)) return a;
  if (!a.exact || !b.exact || *b.exact == 0 || *b.exact == -1) return kUnknown;
  return {*a.exact / *b.exact, ""};
}

Element mod_elements(const Element& a, const Element& b) {
  if (!a.exact || !b.exact || *a.exact < 0 || *b.exact <= 0) return kUnknown;
  return {*a.exact % *b.exact, ""};
}

Element min_elements(const Element& a, const Element& b) {
  if (!a.exact || !b.exact) return kUnknown;
  return {std::min(*a.exact, *b.exact), ""};
}

Element max_elements(const Element& a, const Element& b) {
  if (!a.exact || !b.exact) return kUnknown;
  return {std::max(*a.exact, *b.exact), ""};
}

template <ElementFunction function>
void infer_arithmetic(InferContext& c) {
  infer_broadcast_same(c);
  if (c.node().num_inputs() == 2) infer_elements(c, function);
}

// --- One element ------------------------------------------------------------------------------

struct AddOp {
  template <typename T>
  T operator()(T a, T b) const {
    return wrapping_add(a, b);
  }
};

struct SubOp {
  template <typename T>
  T operator()(T a, T b) const {
    return wrapping_sub(a, b);
  }
};

struct MulOp {
  template <typename T>
  T operator()(T a, T b) const {
    return wrapping_mul(a, b);
  }
};

// Integers truncate toward zero. Dividing the least integer by -1 wraps.
struct DivOp {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_signed_v<T> && !std::is_floating_point_v<T>) {
      return b == -1 ? wrapping_sub(T{0}, a) : static_cast<T>(a / b);
    } else {
      return a / b;
    }
  }
};

// The remainder has the sign of the divisor, as in Python.
struct ModOp {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      const T r = std::fmod(a, b);
      return r != 0 && (r < 0) != (b < 0) ? r + b : r;
    } else if constexpr (std::is_signed_v<T>) {
      if (b == -1) return 0;
      const T r = static_cast<T>(a % b);
      return r != 0 && (r < 0) != (b < 0) ? static_cast<T>(r + b) : r;
    } else {
      return static_cast<T>(a % b);
    }
  }
};

// The remainder has the sign of the dividend, as C's fmod.
struct FmodOp {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return std::fmod(a, b);
    } else if constexpr (std::is_signed_v<T>) {
      return b == -1 ? T{0} : static_cast<T>(a % b);
    } else {
      return static_cast<T>(a % b);
    }
  }
};

struct PReluOp {
  template <typename T>
  T operator()(T x, T slope) const {
    return x < 0 ? wrapping_mul(x, slope) : x;
  }
};

// NaN wins over numbers, as in numpy.
struct MinOp {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) return a < b || a != a ? a : b;
    return a < b ? a : b;
  }
};

struct MaxOp {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) return a > b || a != a ? a : b;
    return a > b ? a : b;
  }
};

// --- Kernels ----------------------------------------------------------------------------------

void expect_same_type(const KernelContext& c, const Tensor& a, const Tensor& b) {
  if (a.dtype() == b.dtype()) return;
  c.fail("its inputs are " + std::string(dtype_name(a.dtype())) + " and " +
         std::string(dtype_name(b.dtype())));
}

template <typename T>
void refuse_zero(const KernelContext& c, const Tensor& divisor) {
  if constexpr (std::is_floating_point_v<T>) return;
  const T* values = divisor.data<T>();
  if (std::find(values, values + divisor.size(), T{0}) != values + divisor.size()) {
    c.fail("an integer is divided by zero");
  }
}

template <typename Op>
constexpr bool kDivides =
    std::is_same_v<Op, DivOp> || std::is_same_v<Op, ModOp> || std::is_same_v<Op, FmodOp>;

template <typename Op, typename List = NumberTypes>
void run_binary(KernelContext& c) {
  const Tensor& a = c.input(0);
  const Tensor& b = c.input(1);
  expect_same_type(c, a, b);
  dispatch(c, List{}, a.dtype(), [&]<typename T>(TypeTag<T>) {
    const Broadcast<2> loop(c, {&a.shape(), &b.shape()});
    if (kDivides<Op> && loop.size() > 0) refuse_zero<T>(c, b);
    T* out = c.output(0, a.dtype(), loop.shape()).template mutable_data<T>();
    broadcast_binary(loop, a.data<T>(), b.data<T>(), out, Op());
  });
}

template <typename Op>
Kernel binary_kernel(const Node&, int) {
  return run_binary<Op>;
}

Kernel mod_kernel(const Node& node, int) {
  if (node.int_attribute("fmod", 0) != 0) return run_binary<FmodOp>;
  return run_binary<ModOp>;
}

Kernel prelu_kernel(const Node&, int) {
  return [](KernelContext& c) {
    run_binary<PReluOp>(c);
    if (broadcast_dims(c, {&c.input(0).shape(), &c.input(1).shape()}) != c.input(0).shape()) {
      c.fail("slope " + to_string(c.input(1).shape()) + " does not broadcast to " +
             to_string(c.input(0).shape()));
    }
  };
}

void infer_prelu(InferContext& c) { c.set_output(0, c.dtype(0), c.shape(0)); }

// Min, Max, Sum: the inputs from left to right.
template <typename Op, typename List = NumberTypes>
void run_variadic(KernelContext& c) {
  Tensor result = c.input(0);
  dispatch(c, List{}, result.dtype(), [&]<typename T>(TypeTag<T>) {
    for (size_t i = 1; i < c.num_inputs(); ++i) {
      const Tensor& next = c.input(i);
      expect_same_type(c, result, next);
      const Broadcast<2> loop(c, {&result.shape(), &next.shape()});
      Tensor joined = Tensor::allocate(result.dtype(), loop.shape());
      broadcast_binary(loop, result.data<T>(), next.data<T>(), joined.mutable_data<T>(), Op());
      result = std::move(joined);
    }
  });
  c.set_output(0, std::move(result));
}

template <typename Op, typename List = NumberTypes>
Kernel variadic_kernel(const Node&, int) {
  return run_variadic<Op, List>;
}

Kernel mean_kernel(const Node&, int) {
  return [](KernelContext& c) {
    Tensor sum = c.input(0);
    dispatch(c, FloatTypes{}, sum.dtype(), [&]<typename T>(TypeTag<T>) {
      for (size_t i = 1; i < c.num_inputs(); ++i) {
        const Tensor& next = c.input(i);
        expect_same_type(c, sum, next);
        const Broadcast<2> loop(c, {&sum.shape(), &next.shape()});
        Tensor joined = Tensor::allocate(sum.dtype(), loop.shape());
        broadcast_binary(loop, sum.data<T>(), next.data<T>(), joined.mutable_data<T>(), AddOp());
        sum = std::move(joined);
      }
      T* values = sum.mutable_data<T>();
      const T count = static_cast<T>(c.num_inputs());
      for (int64_t i = 0; i < sum.size(); ++i) values[i] /= count;
    });
    c.set_output(0, std::move(sum));
  };
}

}  // namespace

std::span<const OpRow> arithmetic_ops() {
  static constexpr OpRow kRows[] = {
      {"", "Add", 7, infer_arithmetic<add_elements>, binary_kernel<AddOp>, 0, kElementwise},
      {"", "Sub", 7, infer_arithmetic<sub_elements>, binary_kernel<SubOp>, 0, kElementwise},
      {"", "Mul", 7, infer_arithmetic<mul_elements>, binary_kernel<MulOp>, 0, kElementwise},
      {"", "Div", 7, infer_arithmetic<div_elements>, binary_kernel<DivOp>, 0, kElementwise},
      {"", "Mod", 10, infer_arithmetic<mod_elements>, mod_kernel, 0, kElementwise},
      {"", "PRelu", 7, infer_prelu, prelu_kernel, 1u << 1, kElementwise},
      {"", "Min", 6, infer_arithmetic<min_elements>, variadic_kernel<MinOp>, 0, kElementwise},
      {"", "Max", 6, infer_arithmetic<max_elements>, variadic_kernel<MaxOp>, 0, kElementwise},
      {"", "Sum", 6, infer_broadcast_same, variadic_kernel<AddOp, FloatTypes>, 0, kElementwise},
      {"", "Mean", 6, infer_broadcast_same, mean_kernel, 0, kElementwise},
  };
  return kRows;
}

}  // namespace dwindle
