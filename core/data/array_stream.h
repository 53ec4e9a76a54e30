// ArrayStream: an array of many samples that is read front to back, from wherever it lies.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "core/ir/tensor.h"

namespace dwindle {

class ArrayStream {
 public:
  ArrayStream(DType dtype, Dims shape) : dtype_(dtype), shape_(std::move(shape)) {}
  virtual ~ArrayStream() = default;

  DType dtype() const { return dtype_; }
  const Dims& shape() const { return shape_; }  // samples along the first axis

  // The next `size` bytes of the elements, which must be there. Raises BadData, IoError.
  virtual void read(std::byte* out, size_t size) = 0;
  virtual void rewind() = 0;

  // All elements, from the first.
  Tensor read_all();

 private:
  DType dtype_;
  Dims shape_;
};

using ArrayStreams = std::map<std::string, std::unique_ptr<ArrayStream>>;

std::unique_ptr<ArrayStream> stream_tensor(Tensor tensor);

// The elements of a stream of float32, rounded to bfloat16 (to nearest even).
std::unique_ptr<ArrayStream> stream_bfloat16(std::unique_ptr<ArrayStream> floats);

// Raises IoError where the file cannot be read, BadData where it is no array of numbers.
std::unique_ptr<ArrayStream> open_npy(const std::filesystem::path& path);

// All arrays of an archive, by key. They read from the one open file, each at its own place.
ArrayStreams open_npz(const std::filesystem::path& path);

}  // namespace dwindle
