#include "core/ir/tensor.h"

#include <algorithm>
#include <cstring>

#include "core/ir/buffer_pool.h"
#include "core/support/error.h"
#include "core/support/file.h"

namespace dwindle {
namespace {

constexpr size_t kComparedPart = size_t{4} << 20;

}  // namespace

Tensor::Tensor(const Tensor&) = default;
Tensor::Tensor(Tensor&&) noexcept = default;
Tensor& Tensor::operator=(const Tensor&) = default;
Tensor& Tensor::operator=(Tensor&&) noexcept = default;
Tensor::~Tensor() = default;

Tensor Tensor::allocate(DType dtype, Dims shape) {
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.size_ = element_count(shape);
  tensor.shape_ = std::move(shape);
  if (dtype == DType::kString) {
    tensor.strings_ = std::make_shared<std::vector<std::string>>(tensor.size_);
    return tensor;
  }
  tensor.nbytes_ = packed_bytes(dtype, tensor.size_);
  std::shared_ptr<std::byte> buffer = take_buffer(tensor.nbytes_);
  tensor.data_ = buffer.get();
  tensor.owner_ = std::move(buffer);
  tensor.writable_ = true;
  return tensor;
}

Tensor Tensor::zeros(DType dtype, Dims shape) {
  Tensor tensor = allocate(dtype, std::move(shape));
  if (tensor.nbytes_ > 0) std::memset(tensor.mutable_bytes(), 0, tensor.nbytes_);
  return tensor;
}

Tensor Tensor::borrow(DType dtype, Dims shape, const void* data, std::shared_ptr<const void> owner,
                      bool mapped) {
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.size_ = element_count(shape);
  tensor.shape_ = std::move(shape);
  tensor.nbytes_ = packed_bytes(dtype, tensor.size_);
  tensor.data_ = static_cast<const std::byte*>(data);
  tensor.owner_ = std::move(owner);
  tensor.mapped_ = mapped;
  return tensor;
}

Tensor Tensor::strings(Dims shape, std::vector<std::string> values) {
  Tensor tensor = allocate(DType::kString, std::move(shape));
  if (values.size() != static_cast<size_t>(tensor.size_)) {
    throw BadModel("a string tensor of shape " + to_string(tensor.shape_) + " has " +
                   std::to_string(values.size()) + " strings");
  }
  *tensor.strings_ = std::move(values);
  return tensor;
}

const std::vector<std::string>& Tensor::string_values() const {
  expect(DType::kString);
  return *strings_;
}

std::vector<std::string>& Tensor::mutable_strings() {
  expect(DType::kString);
  if (strings_.use_count() > 1) strings_ = std::make_shared<std::vector<std::string>>(*strings_);
  return *strings_;
}

std::byte* Tensor::mutable_bytes() {
  if (!writable_ || owner_.use_count() > 1) {
    Tensor copy = allocate(dtype_, shape_);
    if (nbytes_ > 0) std::memcpy(const_cast<std::byte*>(copy.data_), data_, nbytes_);
    *this = std::move(copy);
  }
  return const_cast<std::byte*>(data_);
}

Tensor Tensor::reshaped(Dims shape) const {
  if (element_count(shape) != size_) {
    throw BadModel("cannot reshape " + to_string(shape_) + " to " + to_string(shape));
  }
  Tensor tensor = *this;
  tensor.shape_ = std::move(shape);
  return tensor;
}

Tensor Tensor::reinterpreted(DType dtype) const {
  if (dtype_bits(dtype) != dtype_bits(dtype_)) {
    throw Error("cannot reinterpret " + std::string(dtype_name(dtype_)) + " as " +
                std::string(dtype_name(dtype)));
  }
  Tensor tensor = *this;
  tensor.dtype_ = dtype;
  return tensor;
}

bool Tensor::identical(const Tensor& other) const {
  if (dtype_ != other.dtype_ || shape_ != other.shape_) return false;
  if (dtype_ == DType::kString) return *strings_ == *other.strings_;
  if (data_ == other.data_) return true;
  // In parts that are given back: equal weights in mapped files need not be in memory as a whole.
  for (size_t at = 0; at < nbytes_; at += kComparedPart) {
    const size_t count = std::min(kComparedPart, nbytes_ - at);
    const bool same = std::memcmp(data_ + at, other.data_ + at, count) == 0;
    if (nbytes_ > kComparedPart) {
      give_back_pages({data_ + at, count});
      give_back_pages({other.data_ + at, count});
    }
    if (!same) return false;
  }
  return true;
}

void Tensor::expect(DType dtype) const {
  if (dtype == dtype_) return;
  // The float8 types have no C++ type of their own: they are read as bytes.
  if (dtype == DType::kUint8 && dtype_bits(dtype_) == 8) return;
  throw Unsupported("a tensor of " + std::string(dtype_name(dtype_)) + " where " +
                    std::string(dtype_name(dtype)) + " is expected");
}

Tensor SparseTensor::to_dense() const {
  Tensor dense = Tensor::zeros(values.dtype(), shape);
  const int bits = dtype_bits(values.dtype());
  if (bits % 8 != 0 || bits == 0) {
    throw Unsupported("sparse tensor of " + std::string(dtype_name(values.dtype())));
  }
  const size_t width = static_cast<size_t>(bits) / 8;
  const int64_t* index = indices.data<int64_t>();
  const bool linear = indices.rank() == 1;
  const int64_t per_element = linear ? 1 : static_cast<int64_t>(shape.size());
  if (indices.size() != values.size() * per_element) {
    throw BadModel("sparse tensor: indices " + to_string(indices.shape()) + " do not fit values " +
                   to_string(values.shape()));
  }
  std::byte* out = dense.mutable_bytes();
  for (int64_t i = 0; i < values.size(); ++i) {
    int64_t at = 0;
    for (int64_t k = 0; k < per_element; ++k) {
      const int64_t extent = linear ? dense.size() : shape[k];
      const int64_t position = index[i * per_element + k];
      if (position < 0 || position >= extent) {
        throw BadModel("sparse tensor: index " + std::to_string(position) + " is out of range");
      }
      at = at * (linear ? 1 : extent) + position;
    }
    std::memcpy(out + static_cast<size_t>(at) * width, values.bytes() + i * width, width);
  }
  return dense;
}

}  // namespace dwindle
