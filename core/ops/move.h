// Moving elements about without looking at them: what Transpose, Slice, Pad, Gather and their like
// share. Written once for elements of 1, 2, 4, 8 or 16 bytes; any_dtype() brings the rest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/ops/op.h"

namespace dwindle {

// Bytes of one element. Raises Unsupported where elements are not whole bytes (strings, packed).
size_t element_bytes(DType dtype);

// Distance in elements between neighbours along each axis of a dense tensor.
Dims row_major_strides(const Dims& dims);

// Copies `dims` elements of `width` bytes from one strided array to another. Strides count elements
// and may be 0 (source: repeat) or negative; `src` and `dst` point at the elements of index 0. The
// axes should be in the order of the destination.
struct StridedCopy {
  size_t width = 0;
  Dims dims;
  const std::byte* src = nullptr;
  Dims src_strides;
  std::byte* dst = nullptr;
  Dims dst_strides;
};
void copy_strided(StridedCopy copy);

// For every axis, the source index that each place of the output takes; -1: none, takes the fill.
using IndexMaps = std::vector<std::vector<int64_t>>;

// dst[i, j, …] = src[maps[0][i], maps[1][j], …], or the element at `fill` where any of them is -1.
// `fill` may be null where no index is. Indices must be in range.
void copy_mapped(size_t width, const std::byte* src, const Dims& src_dims, const IndexMaps& maps,
                 const std::byte* fill, std::byte* dst);

// Lets a kernel that moves whole bytes take packed dtypes and strings too: it sees the elements
// unpacked into uint8, or uint32 numbers that stand for the strings (0: the empty string). Bit i of
// `data_inputs` says that input i holds such elements; outputs of the stand-in's dtype are turned
// back. The kernel must not compute with the elements.
Kernel any_dtype(Kernel kernel, uint32_t data_inputs);

// Packed elements (2, 4 or 6 bits) as bytes, and back. Signs are not extended.
Tensor unpack_elements(const Tensor& packed);
Tensor pack_elements(const Tensor& bytes, DType packed);

}  // namespace dwindle
