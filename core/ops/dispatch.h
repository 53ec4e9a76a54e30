// From a dtype known at run time to a C++ type known to the compiler.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>

#include "core/ops/op.h"

namespace dwindle {

template <typename T>
struct TypeTag {
  using Type = T;
};

template <typename... Ts>
struct TypeList {};

using FloatTypes = TypeList<float, double>;
using SignedTypes = TypeList<float, double, int8_t, int16_t, int32_t, int64_t>;
using IntegerTypes =
    TypeList<int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>;
using NumberTypes = TypeList<float, double, int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t,
                             int64_t, uint64_t>;
// What ONNX's reductions and matrix products take.
using WideTypes = TypeList<float, double, int32_t, uint32_t, int64_t, uint64_t>;

// Calls `body(TypeTag<T>{})` for the T of the list that stores `dtype`; says whether there is one.
template <typename... Ts, typename Body>
bool with_type(TypeList<Ts...>, DType dtype, Body&& body) {
  return ((dtype == DTypeOf<Ts>::value && (body(TypeTag<Ts>{}), true)) || ...);
}

// The same inside a kernel. Raises Unsupported, naming op and dtype, where there is none.
template <typename List, typename Body>
void dispatch(const KernelContext& c, List list, DType dtype, Body&& body) {
  if (!with_type(list, dtype, body))
    c.unsupported("data of type " + std::string(dtype_name(dtype)));
}

// Arithmetic of integers that wraps, also where a signed or promoted type would overflow.
template <typename T>
using WrapType = std::common_type_t<std::make_unsigned_t<T>, unsigned>;

template <typename T>
T wrapping_add(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    return a + b;
  } else {
    return static_cast<T>(static_cast<WrapType<T>>(a) + static_cast<WrapType<T>>(b));
  }
}

template <typename T>
T wrapping_sub(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    return a - b;
  } else {
    return static_cast<T>(static_cast<WrapType<T>>(a) - static_cast<WrapType<T>>(b));
  }
}

template <typename T>
T wrapping_mul(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    return a * b;
  } else {
    return static_cast<T>(static_cast<WrapType<T>>(a) * static_cast<WrapType<T>>(b));
  }
}

}  // namespace dwindle
