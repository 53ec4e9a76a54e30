#include "python/bindings/arrays.h"

#include <cstring>
#include <vector>

#include "core/support/error.h"

namespace py = pybind11;

namespace dwindle {
namespace {

// Drops its reference under the GIL: a tensor may die on a thread that does not hold it.
std::shared_ptr<const void> keep_alive(py::object object) {
  PyObject* raw = object.release().ptr();
  return {raw, [raw](const void*) {
            if (!Py_IsInitialized()) return;
            py::gil_scoped_acquire gil;
            Py_DECREF(raw);
          }};
}

// The type of that name in ml_dtypes, or none where it is not installed or does not have it.
py::object ml_dtype(std::string_view name) {
  try {
    py::object type = py::module_::import("ml_dtypes").attr(std::string(name).c_str());
    return py::dtype::from_args(type);
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_ImportError) && !error.matches(PyExc_AttributeError)) throw;
    return py::none();
  }
}

bool numpy_has(DType dtype) {
  switch (dtype) {
    case DType::kFloat:
    case DType::kUint8:
    case DType::kInt8:
    case DType::kUint16:
    case DType::kInt16:
    case DType::kInt32:
    case DType::kInt64:
    case DType::kBool:
    case DType::kFloat16:
    case DType::kDouble:
    case DType::kUint32:
    case DType::kUint64:
    case DType::kComplex64:
    case DType::kComplex128:
      return true;
    default:
      return false;
  }
}

py::dtype numpy_dtype(DType dtype) {
  const std::string name(dtype_name(dtype));
  if (numpy_has(dtype)) return py::dtype(name);
  const py::object special = ml_dtype(name);
  if (!special.is_none()) return py::reinterpret_borrow<py::dtype>(special);
  return py::dtype(dtype_bits(dtype) == 16 ? "uint16" : "uint8");
}

Tensor string_tensor(const py::array& array, const std::string& name) {
  Dims shape(array.shape(), array.shape() + array.ndim());
  std::vector<std::string> values;
  for (py::handle item : array.attr("ravel")().attr("tolist")()) {
    if (!py::isinstance<py::str>(item) && !py::isinstance<py::bytes>(item)) {
      throw BadData("'" + name + "' holds " + std::string(py::str(py::type::of(item))) +
                    ", which is no element type of ONNX");
    }
    values.push_back(item.cast<std::string>());
  }
  return Tensor::strings(std::move(shape), std::move(values));
}

Tensor pack(DType dtype, Dims shape, const uint8_t* elements) {
  Tensor tensor = Tensor::zeros(dtype, std::move(shape));
  auto* out = reinterpret_cast<uint8_t*>(tensor.mutable_bytes());
  const int bits = dtype_bits(dtype);
  for (int64_t i = 0; i < tensor.size() * bits; ++i) {
    out[i / 8] |= (elements[i / bits] >> (i % bits) & 1) << (i % 8);
  }
  return tensor;
}

// One element a byte; signed integers are sign-extended.
py::array unpack(const Tensor& tensor) {
  const int bits = dtype_bits(tensor.dtype());
  const bool is_signed = is_signed_integer(tensor.dtype());
  py::array plain(py::dtype(is_signed ? "int8" : "uint8"), tensor.shape());
  auto* out = static_cast<uint8_t*>(plain.mutable_data());
  const auto* in = reinterpret_cast<const uint8_t*>(tensor.bytes());
  for (int64_t i = 0; i < tensor.size(); ++i) {
    uint8_t element = 0;
    for (int b = 0; b < bits; ++b) {
      const int64_t at = i * bits + b;
      element |= (in[at / 8] >> (at % 8) & 1) << b;
    }
    if (is_signed && element >> (bits - 1) != 0) element |= static_cast<uint8_t>(0xff << bits);
    out[i] = element;
  }
  const py::object special = ml_dtype(dtype_name(tensor.dtype()));
  if (special.is_none()) return plain;
  return plain.attr(is_integer(tensor.dtype()) ? "astype" : "view")(special);
}

py::array string_array(const Tensor& tensor) {
  py::list values;
  for (const std::string& text : tensor.string_values()) {
    // Strings of ONNX are bytes that need not be valid UTF-8; bytes then stay bytes.
    PyObject* decoded =
        PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), nullptr);
    if (decoded == nullptr) PyErr_Clear();
    values.append(decoded != nullptr ? py::reinterpret_steal<py::object>(decoded)
                                     : py::object(py::bytes(text)));
  }
  py::array array(py::dtype("object"), tensor.shape());
  py::object flat = array.attr("reshape")(-1);
  for (size_t i = 0; i < values.size(); ++i) flat[py::int_(i)] = values[i];
  return array;
}

py::array as_contiguous(py::handle object, const std::string& name) {
  constexpr int kAligned = py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  py::array array = py::array::ensure(object, py::array::c_style | kAligned);
  if (array) return array;
  PyErr_Clear();
  throw BadData("'" + name + "' is no array: got " + std::string(py::str(py::type::of(object))));
}

}  // namespace

Tensor to_tensor(py::handle object, const std::string& name) {
  py::array array = as_contiguous(object, name);
  const py::dtype type = array.dtype();
  const char kind = type.kind();
  if (kind == 'U' || kind == 'S' || kind == 'O' || kind == 'T') return string_tensor(array, name);
  const auto type_name = type.attr("name").cast<std::string>();
  const std::optional<DType> dtype = dtype_from_name(type_name);
  if (!dtype || *dtype == DType::kUndefined || !type.attr("isnative").cast<bool>()) {
    throw BadData("'" + name + "' is of dtype " + std::string(py::repr(type)) +
                  ", which ONNX does not have; convert the data with astype()");
  }
  Dims shape(array.shape(), array.shape() + array.ndim());
  const void* data = array.data();
  if (dtype_bits(*dtype) < 8) return pack(*dtype, shape, static_cast<const uint8_t*>(data));
  return Tensor::borrow(*dtype, std::move(shape), data, keep_alive(std::move(array)));
}

py::array to_array(Tensor tensor, bool writable) {
  if (tensor.dtype() == DType::kString) return string_array(tensor);
  if (dtype_bits(tensor.dtype()) < 8) return unpack(tensor);
  if (writable && tensor.size() > 0) tensor.mutable_bytes();
  const auto* kept = new Tensor(std::move(tensor));
  const py::capsule base(kept, [](void* held) { delete static_cast<Tensor*>(held); });
  py::array array(numpy_dtype(kept->dtype()), kept->shape(), kept->bytes(), base);
  if (!writable) array.attr("flags").attr("writeable") = false;
  return array;
}

TensorMap to_tensors(py::handle dict) {
  if (!py::isinstance(dict, py::module_::import("collections.abc").attr("Mapping"))) {
    throw BadData("a feed is a dict of arrays by input name; got " +
                  std::string(py::str(py::type::of(dict))));
  }
  TensorMap tensors;
  for (py::handle key : dict) {
    if (!py::isinstance<py::str>(key)) throw BadData("the names in a feed are strings");
    const auto name = key.cast<std::string>();
    tensors[name] = to_tensor(dict[key], name);
  }
  return tensors;
}

py::dict to_arrays(TensorMap tensors) {
  py::dict arrays;
  for (auto& [name, tensor] : tensors) {
    Tensor taken = std::move(tensor);
    arrays[py::str(name)] =
        taken.defined() ? py::object(to_array(std::move(taken), true)) : py::object(py::none());
  }
  return arrays;
}

}  // namespace dwindle
