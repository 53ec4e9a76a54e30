// Tensors as numpy arrays and back, without copies where the layouts agree.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>

#include "core/ir/tensor.h"
#include "core/runtime/float_executor.h"

namespace dwindle {

// A Tensor that borrows the bytes of `object`, which it keeps alive. Copied only where the array is
// not contiguous, not aligned, or of a type below 8 bits (ONNX packs those). Anything that
// numpy.asarray takes is taken; values are never cast. Raises BadData, naming `name`, for dtypes
// that ONNX does not have.
Tensor to_tensor(pybind11::handle object, const std::string& name);

// A read-only numpy view of the tensor's bytes, which it keeps alive; with `writable`, one that may
// be written (of a private copy, where others share the bytes). Types that numpy lacks come as
// those of ml_dtypes where it is installed; otherwise as raw bits: uint16 for bfloat16, uint8 for
// the float8 types. Types below 8 bits are unpacked, one element a byte.
pybind11::array to_array(Tensor tensor, bool writable = false);

// A dict of arrays as feeds. Raises BadData where it is none.
TensorMap to_tensors(pybind11::handle dict);
pybind11::dict to_arrays(TensorMap tensors);

}  // namespace dwindle
