#include "core/ir/dtype.h"

#include <array>
#include <bit>

#include "core/support/error.h"

namespace dwindle {
namespace {

enum class Family { kNone, kFloating, kSigned, kUnsigned, kOther };

struct DTypeRow {
  std::string_view name;
  int bits;
  Family family;
};

constexpr std::array<DTypeRow, 29> kRows = {{
    {"undefined", 0, Family::kNone},
    {"float32", 32, Family::kFloating},
    {"uint8", 8, Family::kUnsigned},
    {"int8", 8, Family::kSigned},
    {"uint16", 16, Family::kUnsigned},
    {"int16", 16, Family::kSigned},
    {"int32", 32, Family::kSigned},
    {"int64", 64, Family::kSigned},
    {"string", 0, Family::kOther},
    {"bool", 8, Family::kOther},
    {"float16", 16, Family::kFloating},
    {"float64", 64, Family::kFloating},
    {"uint32", 32, Family::kUnsigned},
    {"uint64", 64, Family::kUnsigned},
    {"complex64", 64, Family::kOther},
    {"complex128", 128, Family::kOther},
    {"bfloat16", 16, Family::kFloating},
    {"float8_e4m3fn", 8, Family::kFloating},
    {"float8_e4m3fnuz", 8, Family::kFloating},
    {"float8_e5m2", 8, Family::kFloating},
    {"float8_e5m2fnuz", 8, Family::kFloating},
    {"uint4", 4, Family::kUnsigned},
    {"int4", 4, Family::kSigned},
    {"float4_e2m1fn", 4, Family::kFloating},
    {"float8_e8m0fnu", 8, Family::kFloating},
    {"uint2", 2, Family::kUnsigned},
    {"int2", 2, Family::kSigned},
    {"float6_e2m3fn", 6, Family::kFloating},
    {"float6_e3m2fn", 6, Family::kFloating},
}};

const DTypeRow& row(DType dtype) { return kRows[static_cast<size_t>(dtype)]; }

}  // namespace

bool is_known_dtype(int32_t value) {
  return value > 0 && value < static_cast<int32_t>(kRows.size());
}

std::string_view dtype_name(DType dtype) { return row(dtype).name; }

std::optional<DType> dtype_from_name(std::string_view name) {
  for (size_t i = 0; i < kRows.size(); ++i) {
    if (kRows[i].name == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

int dtype_bits(DType dtype) { return row(dtype).bits; }

size_t packed_bytes(DType dtype, int64_t count) {
  const int64_t bits = dtype_bits(dtype);
  int64_t total = 0;
  if (count < 0 || __builtin_mul_overflow(count, bits, &total) ||
      __builtin_add_overflow(total, 7, &total)) {
    throw BadModel("a tensor of " + std::to_string(count) + " elements of " +
                   std::string(dtype_name(dtype)) + " is too large");
  }
  return static_cast<size_t>(total / 8);
}

bool is_floating(DType dtype) { return row(dtype).family == Family::kFloating; }

bool is_integer(DType dtype) {
  return row(dtype).family == Family::kSigned || row(dtype).family == Family::kUnsigned;
}

bool is_signed_integer(DType dtype) { return row(dtype).family == Family::kSigned; }

}  // namespace dwindle
