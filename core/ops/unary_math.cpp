// Mathematical functions of one element: Abs, Neg, Sign, Floor, Ceil, Round, Exp, Log, Sqrt,
// Reciprocal, trigonometric and hyperbolic ones, IsNaN, IsInf; and Clip.
#include <cmath>
#include <limits>

#include "core/kernels/vector_math.h"
#include "core/ops/elementwise.h"
#include "core/ops/families.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

// A function object from an expression in x; the type of x is T.
#define DWINDLE_UNARY(Name, expression) \
  struct Name {                         \
    explicit Name(const Node&) {}       \
    template <typename T>               \
    T apply(T x) const {                \
      return expression;                \
    }                                   \
  };

DWINDLE_UNARY(LogOp, std::log(x))
DWINDLE_UNARY(SqrtOp, std::sqrt(x))
DWINDLE_UNARY(ReciprocalOp, T{1} / x)
DWINDLE_UNARY(FloorOp, std::floor(x))
DWINDLE_UNARY(CeilOp, std::ceil(x))
DWINDLE_UNARY(RoundOp, std::nearbyint(x))  // half to even
DWINDLE_UNARY(SinOp, std::sin(x))
DWINDLE_UNARY(CosOp, std::cos(x))
DWINDLE_UNARY(TanOp, std::tan(x))
DWINDLE_UNARY(AsinOp, std::asin(x))
DWINDLE_UNARY(AcosOp, std::acos(x))
DWINDLE_UNARY(AtanOp, std::atan(x))
DWINDLE_UNARY(SinhOp, std::sinh(x))
DWINDLE_UNARY(CoshOp, std::cosh(x))
DWINDLE_UNARY(AsinhOp, std::asinh(x))
DWINDLE_UNARY(AcoshOp, std::acosh(x))
DWINDLE_UNARY(AtanhOp, std::atanh(x))
DWINDLE_UNARY(SignOp, x != x ? x : static_cast<T>((x > 0) - (x < 0)))  // NaN stays NaN
#undef DWINDLE_UNARY

struct ExpOp {
  explicit ExpOp(const Node&) {}
  static kernels::UnaryF32 kernel() { return {.function = kernels::UnaryFunction::kExp}; }
  template <typename T>
  T apply(T x) const {
    return fast_exp(x);
  }
};

struct AbsOp {
  explicit AbsOp(const Node&) {}
  template <typename T>
  T apply(T x) const {
    if constexpr (std::is_floating_point_v<T>) return std::abs(x);
    if constexpr (std::is_unsigned_v<T>) return x;
    return x < 0 ? wrapping_sub(T{0}, x) : x;
  }
};

struct NegOp {
  explicit NegOp(const Node&) {}
  template <typename T>
  T apply(T x) const {
    if constexpr (std::is_floating_point_v<T>) return -x;  // 0 - x would lose the sign of zero
    return wrapping_sub(T{0}, x);
  }
};

void infer_neg(InferContext& c) {
  infer_same(c);
  auto elements = c.elements(0);
  if (!elements || !is_integer(c.dtype(0))) return;
  for (Element& element : *elements) {
    const bool exact = element.exact && *element.exact != std::numeric_limits<int64_t>::min();
    element = exact ? Element{-*element.exact, ""} : Element{};
  }
  c.set_elements(0, std::move(*elements));
}

// --- IsNaN, IsInf -----------------------------------------------------------------------------

// Body over the values as float or double; the float8 types are decoded.
template <typename Test>
void test_elements(KernelContext& c, const Test& test) {
  const Tensor& x = c.input(0);
  uint8_t* out = c.output(0, DType::kBool, x.shape()).mutable_data<uint8_t>();
  if (x.dtype() == DType::kDouble) {
    for (double value : x.values<double>()) *out++ = test(value);
  } else if (x.dtype() == DType::kFloat) {
    for (float value : x.values<float>()) *out++ = test(value);
  } else if (is_floating(x.dtype())) {
    for (float value : to_floats(x)) *out++ = test(value);
  } else {
    c.unsupported("data of type " + std::string(dtype_name(x.dtype())));
  }
}

Kernel is_nan_kernel(const Node&, int) {
  return [](KernelContext& c) { test_elements(c, [](auto value) { return value != value; }); };
}

Kernel is_inf_kernel(const Node& node, int) {
  const bool negative = node.int_attribute("detect_negative", 1) != 0;
  const bool positive = node.int_attribute("detect_positive", 1) != 0;
  return [=](KernelContext& c) {
    test_elements(c, [=](auto value) {
      using T = decltype(value);
      constexpr T kInfinity = std::numeric_limits<T>::infinity();
      return (positive && value == kInfinity) || (negative && value == -kInfinity);
    });
  };
}

// --- Clip -------------------------------------------------------------------------------------

template <typename T>
void clip(KernelContext& c, const Tensor& x, T low, T high) {
  const T* in = x.data<T>();
  T* out = c.output(0, x.dtype(), x.shape()).template mutable_data<T>();
  parallel_for(x.size(), kElementGrain, [=](int64_t begin, int64_t end) {
    const T* __restrict from = in;
    T* __restrict to = out;
    for (int64_t i = begin; i < end; ++i) {
      const T least = from[i] < low ? low : from[i];
      to[i] = least > high ? high : least;
    }
  });
}

// Bounds in attributes, floats only.
Kernel clip_attributes_kernel(const Node& node, int) {
  const float low = node.float_attribute("min", std::numeric_limits<float>::lowest());
  const float high = node.float_attribute("max", std::numeric_limits<float>::max());
  return [=](KernelContext& c) {
    const Tensor& x = c.input(0);
    dispatch(c, FloatTypes{}, x.dtype(), [&]<typename T>(TypeTag<T>) {
      clip(c, x, static_cast<T>(low), static_cast<T>(high));
    });
  };
}

template <typename T>
T clip_bound(const KernelContext& c, size_t i, T otherwise) {
  if (!c.has_input(i)) return otherwise;
  const Tensor& bound = c.input(i);
  if (bound.size() != 1) c.fail("a bound has shape " + to_string(bound.shape()));
  return *bound.data<T>();
}

// Bounds in optional inputs.
Kernel clip_inputs_kernel(const Node&, int) {
  return [](KernelContext& c) {
    const Tensor& x = c.input(0);
    dispatch(c, NumberTypes{}, x.dtype(), [&]<typename T>(TypeTag<T>) {
      clip(c, x, clip_bound<T>(c, 1, std::numeric_limits<T>::lowest()),
           clip_bound<T>(c, 2, std::numeric_limits<T>::max()));
    });
  };
}

template <typename F, typename List = FloatTypes>
constexpr KernelFactory kEach = unary_kernel<PerElement<F>, List>;

}  // namespace

std::span<const OpRow> unary_math_ops() {
  static constexpr OpRow kRows[] = {
      {"", "Abs", 1, infer_same, kEach<AbsOp, NumberTypes>, 0, kElementwise},
      {"", "Neg", 1, infer_neg, kEach<NegOp, SignedTypes>, 0, kElementwise},
      {"", "Sign", 9, infer_same, kEach<SignOp, NumberTypes>, 0, kElementwise},
      {"", "Floor", 1, infer_same, kEach<FloorOp>, 0, kElementwise},
      {"", "Ceil", 1, infer_same, kEach<CeilOp>, 0, kElementwise},
      {"", "Round", 11, infer_same, kEach<RoundOp>, 0, kElementwise},
      {"", "Exp", 1, infer_same, kEach<ExpOp>, 0, kElementwise},
      {"", "Log", 1, infer_same, kEach<LogOp>, 0, kElementwise},
      {"", "Sqrt", 1, infer_same, kEach<SqrtOp>, 0, kElementwise},
      {"", "Reciprocal", 1, infer_same, kEach<ReciprocalOp>, 0, kElementwise},
      {"", "Sin", 7, infer_same, kEach<SinOp>, 0, kElementwise},
      {"", "Cos", 7, infer_same, kEach<CosOp>, 0, kElementwise},
      {"", "Tan", 7, infer_same, kEach<TanOp>, 0, kElementwise},
      {"", "Asin", 7, infer_same, kEach<AsinOp>, 0, kElementwise},
      {"", "Acos", 7, infer_same, kEach<AcosOp>, 0, kElementwise},
      {"", "Atan", 7, infer_same, kEach<AtanOp>, 0, kElementwise},
      {"", "Sinh", 9, infer_same, kEach<SinhOp>, 0, kElementwise},
      {"", "Cosh", 9, infer_same, kEach<CoshOp>, 0, kElementwise},
      {"", "Asinh", 9, infer_same, kEach<AsinhOp>, 0, kElementwise},
      {"", "Acosh", 9, infer_same, kEach<AcoshOp>, 0, kElementwise},
      {"", "Atanh", 9, infer_same, kEach<AtanhOp>, 0, kElementwise},
      {"", "IsNaN", 9, infer_predicate, is_nan_kernel, 0, kElementwise},
      {"", "IsInf", 10, infer_predicate, is_inf_kernel, 0, kElementwise},
      {"", "Clip", 6, infer_same, clip_attributes_kernel, 0, kElementwise},
      {"", "Clip", 11, infer_same, clip_inputs_kernel, 0, kElementwise},
  };
  return kRows;
}

}  // namespace dwindle
