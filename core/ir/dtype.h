// Element types of tensors: those of ONNX's TensorProto.DataType, with the same numbers.
#pragma once

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
float to_float(Float16 value);
float to_float(Bfloat16 value);
Float16 to_float16(float value);    // round to nearest even
Bfloat16 to_bfloat16(float value);  // round to nearest even

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
