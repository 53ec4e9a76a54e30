// Activations: functions of one element with constants in attributes.
#include "core/ops/activation.h"

#include <algorithm>
#include <cmath>

#include "core/kernels/vector_math.h"
#include "core/ops/broadcast.h"
#include "core/ops/elementwise.h"
#include "core/ops/families.h"
#include "core/support/error.h"
#include "core/support/threads.h"

namespace dwindle {
namespace {

using kernels::UnaryF32;
using kernels::UnaryFunction;

struct NoAttributes {
  explicit NoAttributes(const Node&) {}
};

struct Alpha {
  Alpha(const Node& node, float otherwise) : alpha(node.float_attribute("alpha", otherwise)) {}
  float alpha;
};

// Written so that NaN stays NaN.
struct Relu : NoAttributes {
  using NoAttributes::NoAttributes;
  template <typename T>
  T apply(T x) const {
    return x < 0 ? T{0} : x;
  }
};

struct LeakyRelu : Alpha {
  explicit LeakyRelu(const Node& node) : Alpha(node, 0.01f) {}
  template <typename T>
  T apply(T x) const {
    return x < 0 ? x * static_cast<T>(alpha) : x;
  }
};

struct ThresholdedRelu : Alpha {
  explicit ThresholdedRelu(const Node& node) : Alpha(node, 1.0f) {}
  template <typename T>
  T apply(T x) const {
    return x > static_cast<T>(alpha) ? x : T{0};
  }
};

struct Elu : Alpha {
  explicit Elu(const Node& node) : Alpha(node, 1.0f) {}
  UnaryF32 kernel() const { return {.function = UnaryFunction::kElu, .alpha = alpha}; }
  template <typename T>
  T apply(T x) const {
    return fast_elu(x, static_cast<T>(alpha));
  }
};

struct Celu : Alpha {
  explicit Celu(const Node& node) : Alpha(node, 1.0f) {}
  template <typename T>
  T apply(T x) const {
    const T a = static_cast<T>(alpha);
    const T below = a * (fast_exp(x / a) - T{1});
    return (x < 0 ? T{0} : x) + (below > 0 ? T{0} : below);
  }
};

struct Selu : Alpha {
  explicit Selu(const Node& node)
      : Alpha(node, 1.67326319f), gamma(node.float_attribute("gamma", 1.05070102f)) {}
  template <typename T>
  T apply(T x) const {
    const T below = static_cast<T>(alpha) * (fast_exp(x) - T{1});
    return static_cast<T>(gamma) * (x <= 0 ? below : x);
  }
  float gamma;
};

struct Sigmoid : NoAttributes {
  using NoAttributes::NoAttributes;
  static UnaryF32 kernel() { return {.function = UnaryFunction::kSigmoid}; }
  template <typename T>
  T apply(T x) const {
    return fast_sigmoid(x);
  }
};

struct HardSigmoid : Alpha {
  explicit HardSigmoid(const Node& node)
      : Alpha(node, 0.2f), beta(node.float_attribute("beta", 0.5f)) {}
  UnaryF32 kernel() const {
    return {.function = UnaryFunction::kHardSigmoid, .alpha = alpha, .beta = beta};
  }
  template <typename T>
  T apply(T x) const {
    return hard_sigmoid(x, static_cast<T>(alpha), static_cast<T>(beta));
  }
  float beta;
};

struct HardSwish : NoAttributes {
  using NoAttributes::NoAttributes;
  static UnaryF32 kernel() { return {.function = UnaryFunction::kHardSwish}; }
  template <typename T>
  T apply(T x) const {
    return hard_swish(x);
  }
};

struct Swish : Alpha {
  explicit Swish(const Node& node) : Alpha(node, 1.0f) {}
  UnaryF32 kernel() const { return {.function = UnaryFunction::kSwish, .alpha = alpha}; }
  template <typename T>
  T apply(T x) const {
    return fast_swish(x, static_cast<T>(alpha));
  }
};

struct Tanh : NoAttributes {
  using NoAttributes::NoAttributes;
  static UnaryF32 kernel() { return {.function = UnaryFunction::kTanh}; }
  template <typename T>
  T apply(T x) const {
    return fast_tanh(x);
  }
};

struct Erf : NoAttributes {
  using NoAttributes::NoAttributes;
  static UnaryF32 kernel() { return {.function = UnaryFunction::kErf}; }
  template <typename T>
  T apply(T x) const {
    return fast_erf(x);
  }
};

// ln(1 + e^x) without overflow.
struct Softplus : NoAttributes {
  using NoAttributes::NoAttributes;
  template <typename T>
  T apply(T x) const {
    return (x < 0 ? T{0} : x) + std::log1p(fast_exp(-std::abs(x)));
  }
};

struct Softsign : NoAttributes {
  using NoAttributes::NoAttributes;
  template <typename T>
  T apply(T x) const {
    return x / (T{1} + std::abs(x));
  }
};

struct Mish : NoAttributes {
  using NoAttributes::NoAttributes;
  static UnaryF32 kernel() { return {.function = UnaryFunction::kMish}; }
  template <typename T>
  T apply(T x) const {
    return fast_mish(x);
  }
};

struct Gelu {
  explicit Gelu(const Node& node) {
    const std::string approximate = node.string_attribute("approximate", "none");
    if (approximate != "none" && approximate != "tanh") {
      throw BadModel("Gelu node '" + node.name + "': approximate is '" + approximate +
                     "', not none or tanh");
    }
    tanh = approximate == "tanh";
  }
  UnaryF32 kernel() const {
    return {.function = tanh ? UnaryFunction::kGeluTanh : UnaryFunction::kGelu};
  }
  template <typename T>
  T apply(T x) const {
    return tanh ? fast_gelu_tanh(x) : fast_gelu(x);
  }
  bool tanh;
};

// Integers are computed as doubles; what does not fit them becomes their nearest limit.
struct Shrink {
  explicit Shrink(const Node& node)
      : bias(node.float_attribute("bias", 0)), lambd(node.float_attribute("lambd", 0.5f)) {}
  template <typename T>
  T apply(T x) const {
    if constexpr (std::is_floating_point_v<T>) {
      const T b = static_cast<T>(bias), l = static_cast<T>(lambd);
      return x < -l ? x + b : x > l ? x - b : T{0};
    } else {
      const double wide = static_cast<double>(x);
      const double y = wide < -lambd ? wide + bias : wide > lambd ? wide - bias : 0;
      constexpr double kLeast = static_cast<double>(std::numeric_limits<T>::min());
      constexpr double kMost = static_cast<double>(std::numeric_limits<T>::max());
      if (!(y > kLeast)) return std::numeric_limits<T>::min();
      return y >= kMost ? std::numeric_limits<T>::max() : static_cast<T>(y);
    }
  }
  float bias, lambd;
};

template <typename F, typename List = FloatTypes>
constexpr KernelFactory kEach = unary_kernel<PerElement<F>, List>;

// Swish of the first input, times the second.
Kernel swiglu_kernel(const Node& node, int) {
  return [alpha = node.float_attribute("alpha", 1.0f)](KernelContext& c) {
    const Tensor &gate = c.input(0), &linear = c.input(1);
    if (gate.dtype() != linear.dtype()) c.fail("its inputs differ in dtype");
    if (gate.shape() != linear.shape()) c.fail("its inputs differ in shape");
    dispatch(c, FloatTypes{}, gate.dtype(), [&]<typename T>(TypeTag<T>) {
      const T *a = gate.data<T>(), *b = linear.data<T>();
      T* y = c.output(0, gate.dtype(), gate.shape()).template mutable_data<T>();
      parallel_for(gate.size(), kElementGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) y[i] = fast_swish(a[i], static_cast<T>(alpha)) * b[i];
      });
    });
  };
}

template <typename F>
UnaryF32 function_of(const Node& node) {
  return F(node).kernel();
}

struct FunctionRow {
  std::string_view op;
  UnaryF32 (*read)(const Node&);
};

constexpr FunctionRow kFunctions[] = {
    {"Elu", function_of<Elu>},     {"Sigmoid", function_of<Sigmoid>},
    {"Swish", function_of<Swish>}, {"HardSigmoid", function_of<HardSigmoid>},
    {"Tanh", function_of<Tanh>},   {"HardSwish", function_of<HardSwish>},
    {"Erf", function_of<Erf>},     {"Mish", function_of<Mish>},
    {"Gelu", function_of<Gelu>},
};

}  // namespace

std::optional<UnaryF32> activation_of(const Node& node, int opset) {
  const auto row =
      std::ranges::find_if(kFunctions, [&](const FunctionRow& r) { return node.is(r.op); });
  if (row == std::end(kFunctions) || find_op("", node.op_type, opset) == nullptr) return {};
  return row->read(node);
}

std::optional<UnaryF32> gated_by(const Node& gate) {
  if (gate.is("Sigmoid")) return UnaryF32{.function = UnaryFunction::kSwish, .alpha = 1};
  if (!gate.is("HardSigmoid")) return {};
  const HardSigmoid read(gate);
  if (read.alpha != 1.0f / 6.0f || read.beta != 0.5f) return {};
  return UnaryF32{.function = UnaryFunction::kHardSwish};
}

Kernel activation_kernel(const UnaryF32& function) {
  return [function](KernelContext& c) {
    const Tensor& x = c.input(0);
    const float* in = x.data<float>();
    float* out = c.output(0, DType::kFloat, x.shape()).mutable_data<float>();
    parallel_for(x.size(), kElementGrain, [&](int64_t begin, int64_t end) {
      UnaryF32 part = function;
      part.x = in + begin;
      part.count = end - begin;
      part.y = out + begin;
      kernels::unary_f32(part);
    });
  };
}

std::span<const OpRow> activation_ops() {
  static constexpr OpRow kRows[] = {
      {"", "Relu", 1, infer_same, kEach<Relu, SignedTypes>, 0, kElementwise},
      {"", "LeakyRelu", 1, infer_same, kEach<LeakyRelu>, 0, kElementwise},
      {"", "ThresholdedRelu", 1, infer_same, kEach<ThresholdedRelu>, 0, kElementwise},
      {"", "Elu", 1, infer_same, kEach<Elu>, 0, kElementwise},
      {"", "Celu", 12, infer_same, kEach<Celu>, 0, kElementwise},
      {"", "Selu", 6, infer_same, kEach<Selu>, 0, kElementwise},
      {"", "Sigmoid", 1, infer_same, kEach<Sigmoid>, 0, kElementwise},
      {"", "HardSigmoid", 1, infer_same, kEach<HardSigmoid>, 0, kElementwise},
      {"", "HardSwish", 14, infer_same, kEach<HardSwish>, 0, kElementwise},
      {"", "Swish", 24, infer_same, kEach<Swish>, 0, kElementwise},
      {"", "Tanh", 1, infer_same, kEach<Tanh>, 0, kElementwise},
      {"", "Erf", 9, infer_same, kEach<Erf>, 0, kElementwise},
      {"", "Softplus", 1, infer_same, kEach<Softplus>, 0, kElementwise},
      {"", "Softsign", 1, infer_same, kEach<Softsign>, 0, kElementwise},
      {"", "Mish", 18, infer_same, kEach<Mish>, 0, kElementwise},
      {"", "Gelu", 20, infer_same, kEach<Gelu>, 0, kElementwise},
      {"", "SwiGLU", 28, infer_same, swiglu_kernel, 0, kElementwise},
      {"", "Shrink", 9, infer_same, kEach<Shrink, NumberTypes>, 0, kElementwise},
  };
  return kRows;
}

}  // namespace dwindle
