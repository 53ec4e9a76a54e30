// Reading the elements of a tensor of any real dtype, packed ones included.
#include "core/ir/small_float.h"
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
  const bool small = dtype == DType::kFloat8E8M0 || small_float(dtype) != nullptr;
  for (int64_t i = 0; i < tensor.size(); ++i) {
    float& value = out[static_cast<size_t>(i)];
    if (dtype == DType::kFloat16) {
      value = to_float(tensor.data<Float16>()[i]);
    } else if (dtype == DType::kBfloat16) {
      value = to_float(tensor.data<Bfloat16>()[i]);
    } else if (small) {
      value = decode_small_float(dtype, unpack_bits(tensor.bytes(), i, dtype_bits(dtype)));
    } else {
      throw Unsupported("a tensor of " + std::string(dtype_name(dtype)) +
                        " where real numbers are expected");
    }
  }
  return out;
}

}  // namespace dwindle
