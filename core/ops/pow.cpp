// Pow: the exponent has a type of its own; the result has that of the base.
#include <cmath>
#include <limits>

#include "core/ops/elementwise.h"
#include "core/ops/families.h"

namespace dwindle {
namespace {

using BaseTypes = TypeList<float, double, int32_t, int64_t>;

// Exponents as they come out of a model are mostly one small integer for all elements.
template <typename T>
bool power_by_products(const T* x, T exponent, T* __restrict out, int64_t size) {
  if (exponent != 1 && exponent != 2 && exponent != 3) return false;
  parallel_for(size, kElementGrain, [&](int64_t begin, int64_t end) {
    if (exponent == 1) {
      std::copy(x + begin, x + end, out + begin);
    } else if (exponent == 2) {
      for (int64_t i = begin; i < end; ++i) out[i] = x[i] * x[i];
    } else {
      for (int64_t i = begin; i < end; ++i) out[i] = x[i] * x[i] * x[i];
    }
  });
  return true;
}

// Wraps as multiplication does. `exponent` is not negative.
template <typename T>
T integer_power(T base, uint64_t exponent) {
  T result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if (exponent & 1) result = wrapping_mul(result, base);
    base = wrapping_mul(base, base);
  }
  return result;
}

// Truncates; numbers that T does not hold become its least.
template <typename T>
T integer_from(double value) {
  constexpr double kLimit = static_cast<double>(std::numeric_limits<T>::max()) + 1;
  const bool fits = value > -kLimit - (sizeof(T) < 8 ? 1 : 0) && value < kLimit;
  return fits ? static_cast<T>(value) : std::numeric_limits<T>::min();
}

struct IntegerPow {
  template <typename T>
  T operator()(T base, int64_t exponent) const {
    if (exponent >= 0) return integer_power(base, static_cast<uint64_t>(exponent));
    return integer_from<T>(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
};

struct RealPow {
  template <typename T, typename E>
  T operator()(T base, E exponent) const {
    if constexpr (std::is_floating_point_v<T>) {
      return static_cast<T>(std::pow(base, exponent));
    } else {
      return integer_from<T>(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
    }
  }
};

template <typename E>
Tensor widened(const Tensor& from) {
  if (from.dtype() == DTypeOf<E>::value) return from;
  Tensor out = Tensor::allocate(DTypeOf<E>::value, from.shape());
  E* to = out.mutable_data<E>();
  with_type(NumberTypes{}, from.dtype(), [&]<typename T>(TypeTag<T>) {
    for (T value : from.values<T>()) *to++ = static_cast<E>(value);
  });
  return out;
}

template <typename T, typename E, typename Op>
void run_pow(KernelContext& c, const Tensor& exponent) {
  const Tensor& x = c.input(0);
  const Tensor y = widened<E>(exponent);
  const Broadcast<2> loop(c, {&x.shape(), &y.shape()});
  T* out = c.output(0, x.dtype(), loop.shape()).template mutable_data<T>();
  if constexpr (std::is_same_v<T, E> && std::is_floating_point_v<T>) {
    if (y.size() == 1 && loop.size() == x.size() &&
        power_by_products(x.data<T>(), *y.data<T>(), out, x.size())) {
      return;
    }
  }
  broadcast_binary(loop, x.data<T>(), y.data<E>(), out, Op());
}

void pow_op(KernelContext& c) {
  const DType exponent = c.input(1).dtype();
  if (!with_type(NumberTypes{}, exponent, [](auto) {})) {
    c.unsupported("an exponent of type " + std::string(dtype_name(exponent)));
  }
  dispatch(c, BaseTypes{}, c.input(0).dtype(), [&]<typename T>(TypeTag<T>) {
    if constexpr (std::is_floating_point_v<T>) {
      // Small integers are exact as T; wide ones only as double.
      if (exponent == DTypeOf<T>::value || dtype_bits(exponent) <= 16) {
        run_pow<T, T, RealPow>(c, c.input(1));
      } else {
        run_pow<T, double, RealPow>(c, c.input(1));
      }
    } else if (is_floating(exponent)) {
      run_pow<T, double, RealPow>(c, c.input(1));
    } else {
      run_pow<T, int64_t, IntegerPow>(c, c.input(1));
    }
  });
}

Kernel pow_kernel(const Node&, int) { return pow_op; }

}  // namespace

std::span<const OpRow> pow_ops() {
  static constexpr OpRow kRows[] = {
      {"", "Pow", 7, infer_broadcast_same, pow_kernel, 0, kElementwise}};
  return kRows;
}

}  // namespace dwindle
