// Tensor: dtype, shape and bytes. Copies share their bytes, so passing tensors by value is cheap.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/ir/dtype.h"
#include "core/ir/shape.h"

namespace dwindle {

// Elements are dense, row-major and little-endian; those below 8 bits stay packed as ONNX packs
// them (the first element in the low bits). Strings are held as a vector.
class Tensor {
 public:
  // No tensor: dtype() is kUndefined.
  Tensor() = default;
  // Not inline: they take much code, and tensors are everywhere.
  Tensor(const Tensor& other);
  Tensor(Tensor&& other) noexcept;
  Tensor& operator=(const Tensor& other);
  Tensor& operator=(Tensor&& other) noexcept;
  ~Tensor();

  // Bytes owned and not initialized; zeros() clears them. Raises BadModel where the shape is not
  // possible, Error where memory is short.
  static Tensor allocate(DType dtype, Dims shape);
  static Tensor zeros(DType dtype, Dims shape);

  // Bytes that belong to someone else, kept alive by `owner` (a numpy array, a pool, a mapped
  // file). `data` must hold packed_bytes(dtype, element_count(shape)). `mapped` says that the bytes
  // come from an external-data file.
  static Tensor borrow(DType dtype, Dims shape, const void* data, std::shared_ptr<const void> owner,
                       bool mapped = false);

  static Tensor strings(Dims shape, std::vector<std::string> values);

  template <typename T>
  static Tensor of(Dims shape, std::span<const T> values);
  template <typename T>
  static Tensor of(Dims shape, const std::vector<T>& values) {
    return of(std::move(shape), std::span<const T>(values));
  }
  template <typename T>
  static Tensor scalar(T value) {
    return of({}, std::span<const T>(&value, 1));
  }

  bool defined() const { return dtype_ != DType::kUndefined; }
  DType dtype() const { return dtype_; }
  const Dims& shape() const { return shape_; }
  int rank() const { return static_cast<int>(shape_.size()); }
  int64_t size() const { return size_; }  // elements
  size_t nbytes() const { return nbytes_; }
  bool mapped() const { return mapped_; }

  const std::byte* bytes() const { return data_; }

  // Elements as T. Raises Error where T is not the dtype's storage type (int8_t also reads the
  // float8 types, bool reads kBool).
  template <typename T>
  const T* data() const {
    expect(DTypeOf<T>::value);
    return reinterpret_cast<const T*>(data_);
  }
  template <typename T>
  std::span<const T> values() const {
    return {data<T>(), static_cast<size_t>(size_)};
  }
  const std::vector<std::string>& string_values() const;

  // Writable bytes; first makes a private copy where they are shared or borrowed.
  std::byte* mutable_bytes();
  template <typename T>
  T* mutable_data() {
    expect(DTypeOf<T>::value);
    return reinterpret_cast<T*>(mutable_bytes());
  }
  std::vector<std::string>& mutable_strings();

  // The same bytes under another shape of as many elements.
  Tensor reshaped(Dims shape) const;
  // The same bytes under another dtype of the same width (float8 as uint8, bool as uint8).
  Tensor reinterpreted(DType dtype) const;

  // Keeps the bytes alive without the tensor (for numpy views).
  std::shared_ptr<const void> owner() const { return owner_; }

  // Same dtype, shape and bytes.
  bool identical(const Tensor& other) const;

 private:
  void expect(DType dtype) const;

  DType dtype_ = DType::kUndefined;
  bool mapped_ = false;
  bool writable_ = false;  // data_ is owned memory; may be written where owner_ is not shared
  Dims shape_;
  int64_t size_ = 0;
  size_t nbytes_ = 0;
  const std::byte* data_ = nullptr;
  std::shared_ptr<const void> owner_;
  std::shared_ptr<std::vector<std::string>> strings_;
};

// A tensor given by its nonzero elements; see ONNX's SparseTensorProto for the two index layouts.
struct SparseTensor {
  Tensor values;   // [NNZ]
  Tensor indices;  // int64: [NNZ] linear, or [NNZ, rank]
  Dims shape;

  // Raises BadModel where an index is out of range.
  Tensor to_dense() const;
};

// Elements of an integer or bool tensor of any width up to 64 bits, unpacked and widened.
// Raises Error for other dtypes.
std::vector<int64_t> to_int64s(const Tensor& tensor);

// Elements of any real tensor as float (integers and bools too, unpacked). Raises Unsupported for
// strings and complex numbers.
std::vector<float> to_floats(const Tensor& tensor);

template <typename T>
Tensor Tensor::of(Dims shape, std::span<const T> values) {
  Tensor tensor = allocate(DTypeOf<T>::value, std::move(shape));
  T* out = tensor.mutable_data<T>();
  for (size_t i = 0; i < static_cast<size_t>(tensor.size()); ++i) out[i] = values[i];
  return tensor;
}

}  // namespace dwindle
