// Element types of tensors: those of ONNX's TensorProto.DataType, with the same numbers.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace dwindle {

enum class DType : int32_t {
  kUndefined = 0,
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11,
  kUint32 = 12,
  kUint64 = 13,
  kComplex64 = 14,
  kComplex128 = 15,
  kBfloat16 = 16,
  kFloat8E4M3FN = 17,
  kFloat8E4M3FNUZ = 18,
  kFloat8E5M2 = 19,
  kFloat8E5M2FNUZ = 20,
  kUint4 = 21,
  kInt4 = 22,
  kFloat4E2M1 = 23,
  kFloat8E8M0 = 24,
  kUint2 = 25,
  kInt2 = 26,
  kFloat6E2M3 = 27,
  kFloat6E3M2 = 28,
};

// Whether `value` is one of the enumerators above other than kUndefined.
bool is_known_dtype(int32_t value);

// "float32", "int8", "uint4", … as in numpy and ml_dtypes; "undefined" for kUndefined.
std::string_view dtype_name(DType dtype);

// The inverse of dtype_name.
std::optional<DType> dtype_from_name(std::string_view name);

// Bits that one element takes in a packed tensor; 0 for strings and kUndefined.
int dtype_bits(DType dtype);

// Bytes that `count` elements take, packed; 0 for strings. Raises BadModel on overflow.
size_t packed_bytes(DType dtype, int64_t count);

bool is_floating(DType dtype);  // real floating point of any width
bool is_integer(DType dtype);   // signed or unsigned of any width, bool excluded
bool is_signed_integer(DType dtype);

// IEEE half and bfloat16 as storage: arithmetic is done in float.
struct Float16 {
  uint16_t bits;
};
struct Bfloat16 {
  uint16_t bits;
};
// Without branches, so that loops over them are vectorized.
inline float to_float(Bfloat16 value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16);
}

// Rounds to nearest even.
inline Bfloat16 to_bfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  const uint32_t quiet = (bits >> 16) | 0x40u;
  // Adding half a unit in the last place, less one where the kept part is even, rounds to even.
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return {static_cast<uint16_t>(is_nan ? quiet : rounded)};
}

inline float to_float(Float16 value) {
  const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000u) << 16;
  const uint32_t magnitude = value.bits & 0x7fffu;
  const uint32_t normal = (magnitude << 13) + 0x38000000u;
  const uint32_t infinite_or_nan = (magnitude << 13) | 0x7f800000u;
  // mantissa · 2^-24 is exact in float.
  const float small = static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f;
  const uint32_t finite = magnitude < 0x400u ? std::bit_cast<uint32_t>(small) : normal;
  return std::bit_cast<float>(sign | (magnitude < 0x7c00u ? finite : infinite_or_nan));
}

// Rounds to nearest even.
inline Float16 to_float16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  // Below the least normal half: adding 0.5 leaves the result, rounded to even by the FPU, in the
  // low bits of the float's mantissa (its unit there is 2^-24).
  const uint32_t small =
      std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  const uint32_t normal = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  const uint32_t finite = magnitude < 0x38800000u ? small : normal;
  const uint32_t most = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;  // NaN or infinity
  // 65520 and above are infinite.
  return {static_cast<uint16_t>(sign | (magnitude >= 0x477ff000u ? most : finite))};
}

// The DType that stores a C++ type.
template <typename T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::kFloat;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::kDouble;
};
template <>
struct DTypeOf<int8_t> {
  static constexpr DType value = DType::kInt8;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::kUint8;
};
template <>
struct DTypeOf<int16_t> {
  static constexpr DType value = DType::kInt16;
};
template <>
struct DTypeOf<uint16_t> {
  static constexpr DType value = DType::kUint16;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::kInt32;
};
template <>
struct DTypeOf<uint32_t> {
  static constexpr DType value = DType::kUint32;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::kInt64;
};
template <>
struct DTypeOf<uint64_t> {
  static constexpr DType value = DType::kUint64;
};
template <>
struct DTypeOf<bool> {
  static constexpr DType value = DType::kBool;
};
template <>
struct DTypeOf<Float16> {
  static constexpr DType value = DType::kFloat16;
};
template <>
struct DTypeOf<Bfloat16> {
  static constexpr DType value = DType::kBfloat16;
};

}  // namespace dwindle
