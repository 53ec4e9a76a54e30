// Reading the elements of a tensor of any real dtype, packed ones included.
#include <bit>
#include <cmath>
#include <limits>

#include "core/ir/tensor.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

template <typename Out, typename T>
std::vector<Out> widened(const Tensor& tensor) {
  const T* in = tensor.data<T>();
  return std::vector<Out>(in, in + tensor.size());
}

// Elements of 2, 4 or 6 bits, the first in the lowest bits of the stream.
int unpack_bits(const std::byte* bytes, int64_t index, int bits) {
  const int64_t at = index * bits;
  int word = static_cast<int>(bytes[at / 8]);
  if (at % 8 + bits > 8) word |= static_cast<int>(bytes[at / 8 + 1]) << 8;
  return (word >> (at % 8)) & ((1 << bits) - 1);
}

// A floating-point number of few bits: sign, exponent, mantissa, as OCP's "8-bit Floating Point
// Specification" and "Microscaling Formats" define them.
struct SmallFloat {
  int exponent_bits, mantissa_bits, bias;
  bool has_infinity;     // an exponent of all ones is infinity or NaN
  bool nan_at_all_ones;  // all bits but the sign set is NaN
  bool fnuz;             // no negative zero: its pattern is NaN
};

float decode(const SmallFloat& format, int code) {
  const int width = 1 + format.exponent_bits + format.mantissa_bits;
  const bool negative = (code >> (width - 1)) & 1;
  const int magnitude = code & ((1 << (width - 1)) - 1);
  const int exponent = magnitude >> format.mantissa_bits;
  const int mantissa = magnitude & ((1 << format.mantissa_bits) - 1);
  const int top = (1 << format.exponent_bits) - 1;
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  if (format.fnuz && negative && magnitude == 0) return kNan;
  if (format.nan_at_all_ones && magnitude == (1 << (width - 1)) - 1) return kNan;
  float value;
  if (format.has_infinity && exponent == top) {
    value = mantissa == 0 ? std::numeric_limits<float>::infinity() : kNan;
  } else if (exponent == 0) {
    value = std::ldexp(static_cast<float>(mantissa), 1 - format.bias - format.mantissa_bits);
  } else {
    value = std::ldexp(static_cast<float>(mantissa + (1 << format.mantissa_bits)),
                       exponent - format.bias - format.mantissa_bits);
  }
  return negative ? -value : value;
}

const SmallFloat* small_float(DType dtype) {
  static constexpr SmallFloat kE4M3FN{4, 3, 7, false, true, false};
  static constexpr SmallFloat kE4M3FNUZ{4, 3, 8, false, false, true};
  static constexpr SmallFloat kE5M2{5, 2, 15, true, false, false};
  static constexpr SmallFloat kE5M2FNUZ{5, 2, 16, false, false, true};
  static constexpr SmallFloat kE2M1{2, 1, 1, false, false, false};
  static constexpr SmallFloat kE2M3{2, 3, 1, false, false, false};
  static constexpr SmallFloat kE3M2{3, 2, 3, false, false, false};
  switch (dtype) {
    case DType::kFloat8E4M3FN:
      return &kE4M3FN;
    case DType::kFloat8E4M3FNUZ:
      return &kE4M3FNUZ;
    case DType::kFloat8E5M2:
      return &kE5M2;
    case DType::kFloat8E5M2FNUZ:
      return &kE5M2FNUZ;
    case DType::kFloat4E2M1:
      return &kE2M1;
    case DType::kFloat6E2M3:
      return &kE2M3;
    case DType::kFloat6E3M2:
      return &kE3M2;
    default:
      return nullptr;
  }
}

template <typename Out>
std::vector<Out> small_integers(const Tensor& tensor) {
  const int bits = dtype_bits(tensor.dtype());
  const bool is_signed = is_signed_integer(tensor.dtype());
  std::vector<Out> out(static_cast<size_t>(tensor.size()));
  for (int64_t i = 0; i < tensor.size(); ++i) {
    int code = unpack_bits(tensor.bytes(), i, bits);
    if (is_signed && (code >> (bits - 1))) code -= 1 << bits;
    out[static_cast<size_t>(i)] = static_cast<Out>(code);
  }
  return out;
}

// Integers and bools; false where the dtype is none of them.
template <typename Out>
bool read_integers(const Tensor& tensor, std::vector<Out>& out) {
  switch (tensor.dtype()) {
    case DType::kUint8:
      out = widened<Out, uint8_t>(tensor);
      return true;
    case DType::kInt8:
      out = widened<Out, int8_t>(tensor);
      return true;
    case DType::kUint16:
      out = widened<Out, uint16_t>(tensor);
      return true;
    case DType::kInt16:
      out = widened<Out, int16_t>(tensor);
      return true;
    case DType::kUint32:
      out = widened<Out, uint32_t>(tensor);
      return true;
    case DType::kInt32:
      out = widened<Out, int32_t>(tensor);
      return true;
    case DType::kUint64:
      out = widened<Out, uint64_t>(tensor);
      return true;
    case DType::kInt64:
      out = widened<Out, int64_t>(tensor);
      return true;
    case DType::kBool:
      out = widened<Out, bool>(tensor);
      return true;
    case DType::kUint4:
    case DType::kInt4:
    case DType::kUint2:
    case DType::kInt2:
      out = small_integers<Out>(tensor);
      return true;
    default:
      return false;
  }
}

}  // namespace

std::vector<int64_t> to_int64s(const Tensor& tensor) {
  std::vector<int64_t> out;
  if (read_integers(tensor, out)) return out;
  throw Unsupported("a tensor of " + std::string(dtype_name(tensor.dtype())) +
                    " where integers are expected");
}

std::vector<float> to_floats(const Tensor& tensor) {
  std::vector<float> out;
  if (read_integers(tensor, out)) return out;
  const DType dtype = tensor.dtype();
  if (dtype == DType::kFloat) return widened<float, float>(tensor);
  if (dtype == DType::kDouble) return widened<float, double>(tensor);
  out.resize(static_cast<size_t>(tensor.size()));
  const SmallFloat* format = small_float(dtype);
  for (int64_t i = 0; i < tensor.size(); ++i) {
    float& value = out[static_cast<size_t>(i)];
    if (dtype == DType::kFloat16) {
      value = to_float(tensor.data<Float16>()[i]);
    } else if (dtype == DType::kBfloat16) {
      value = to_float(tensor.data<Bfloat16>()[i]);
    } else if (dtype == DType::kFloat8E8M0) {
      const int code = static_cast<int>(tensor.bytes()[i]);
      value = code == 255 ? std::numeric_limits<float>::quiet_NaN() : std::ldexp(1.0f, code - 127);
    } else if (format != nullptr) {
      value = decode(*format, unpack_bits(tensor.bytes(), i, dtype_bits(dtype)));
    } else {
      throw Unsupported("a tensor of " + std::string(dtype_name(dtype)) +
                        " where real numbers are expected");
    }
  }
  return out;
}

}  // namespace dwindle
