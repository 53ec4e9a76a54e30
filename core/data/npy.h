// The header of numpy's .npy format, versions 1 to 3:
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "core/ir/tensor.h"

namespace dwindle {

struct NpyHeader {
  DType dtype = DType::kUndefined;
  Dims shape;
  bool fortran_order = false;
  size_t size = 0;  // bytes before the first element

  size_t data_bytes() const;
};

// Reads a header through `read`, which gives the next bytes or raises. `name` is for messages.
// Raises BadData for what is no .npy, and for element types that are no numbers of ONNX or are
// big-endian.
NpyHeader read_npy_header(const std::function<void(std::byte* out, size_t size)>& read,
                          const std::string& name);

// Column-major elements as a row-major tensor.
Tensor from_fortran_order(const Tensor& tensor);

}  // namespace dwindle
