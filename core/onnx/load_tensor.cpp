// TensorProto to Tensor. ONNX stores elements in raw bytes, in one of six typed fields, or in an
// external file; the IR knows only dense bytes.
#include <algorithm>
#include <cstring>

#include "core/onnx/load_parts.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

void expect_count(const char* field, int64_t found, int64_t expected) {
  if (found == expected) return;
  throw BadModel("has " + std::to_string(found) + " entries in " + field +
                 " where its shape needs " + std::to_string(expected));
}

template <typename T, typename Field>
Tensor from_field(DType dtype, Dims dims, const char* name, const Field& field, int per_element) {
  int64_t entries = 0;
  if (__builtin_mul_overflow(element_count(dims), per_element, &entries)) {
    throw BadModel("is too large");
  }
  expect_count(name, field.size(), entries);
  Tensor tensor = Tensor::allocate(dtype, std::move(dims));
  std::byte* out = tensor.mutable_bytes();
  for (int i = 0; i < field.size(); ++i) {
    const T value = static_cast<T>(field[i]);
    std::memcpy(out + static_cast<size_t>(i) * sizeof(T), &value, sizeof(T));
  }
  return tensor;
}

void check_range(const google::protobuf::RepeatedField<int32_t>& field, int64_t low, int64_t high) {
  for (int32_t value : field) {
    if (value < low || value > high) {
      throw BadModel("has " + std::to_string(value) + " in int32_data, which its type cannot hold");
    }
  }
}

// Six-bit elements: one an entry in the message, four in three bytes in memory.
Tensor from_six_bits(DType dtype, Dims dims,
                     const google::protobuf::RepeatedField<int32_t>& field) {
  expect_count("int32_data", field.size(), element_count(dims));
  check_range(field, 0, 63);
  Tensor tensor = Tensor::zeros(dtype, std::move(dims));
  std::byte* out = tensor.mutable_bytes();
  for (int i = 0; i < field.size(); ++i) {
    const size_t bit = static_cast<size_t>(i) * 6;
    const unsigned shifted = static_cast<unsigned>(field[i]) << (bit % 8);
    out[bit / 8] |= static_cast<std::byte>(shifted & 0xff);
    if (shifted > 0xff) out[bit / 8 + 1] |= static_cast<std::byte>(shifted >> 8);
  }
  return tensor;
}

Tensor from_int32_data(DType dtype, Dims dims,
                       const google::protobuf::RepeatedField<int32_t>& field) {
  const int bits = dtype_bits(dtype);
  if (bits == 6) return from_six_bits(dtype, std::move(dims), field);
  if (bits == 32) return from_field<int32_t>(dtype, std::move(dims), "int32_data", field, 1);
  if (dtype == DType::kBool) {
    check_range(field, 0, 1);
  } else if (bits == 16) {
    // Signed and unsigned readings of the same bits are both in use.
    check_range(field, -0x8000, 0xffff);
  } else {
    check_range(field, -0x80, 0xff);
  }
  if (bits == 16) return from_field<uint16_t>(dtype, std::move(dims), "int32_data", field, 1);
  if (bits == 8) return from_field<uint8_t>(dtype, std::move(dims), "int32_data", field, 1);
  // Two or four elements an entry: the entries are the packed bytes.
  expect_count("int32_data", field.size(),
               static_cast<int64_t>(packed_bytes(dtype, element_count(dims))));
  Tensor tensor = Tensor::allocate(dtype, std::move(dims));
  std::transform(field.begin(), field.end(), tensor.mutable_bytes(),
                 [](int32_t entry) { return static_cast<std::byte>(entry & 0xff); });
  return tensor;
}

Tensor from_string_data(Dims dims, proto::TensorProto& message) {
  expect_count("string_data", message.string_data_size(), element_count(dims));
  std::vector<std::string> values;
  values.reserve(static_cast<size_t>(message.string_data_size()));
  for (std::string& value : *message.mutable_string_data()) values.push_back(std::move(value));
  return Tensor::strings(std::move(dims), std::move(values));
}

Tensor from_raw_data(DType dtype, Dims dims, proto::TensorProto& message) {
  if (dtype == DType::kString) throw BadModel("is of strings but has raw_data");
  const size_t size = packed_bytes(dtype, element_count(dims));
  if (message.raw_data().size() != size) {
    throw BadModel("has " + std::to_string(message.raw_data().size()) + " bytes where " +
                   std::string(dtype_name(dtype)) + to_string(dims) + " takes " +
                   std::to_string(size));
  }
  const std::shared_ptr<const std::string> bytes(message.release_raw_data());
  return Tensor::borrow(dtype, std::move(dims), bytes->data(), bytes);
}

Tensor from_typed_field(DType dtype, Dims dims, proto::TensorProto& message) {
  switch (dtype) {
    case DType::kFloat:
      return from_field<float>(dtype, std::move(dims), "float_data", message.float_data(), 1);
    case DType::kComplex64:
      return from_field<float>(dtype, std::move(dims), "float_data", message.float_data(), 2);
    case DType::kDouble:
      return from_field<double>(dtype, std::move(dims), "double_data", message.double_data(), 1);
    case DType::kComplex128:
      return from_field<double>(dtype, std::move(dims), "double_data", message.double_data(), 2);
    case DType::kInt64:
      return from_field<int64_t>(dtype, std::move(dims), "int64_data", message.int64_data(), 1);
    case DType::kUint64:
      return from_field<uint64_t>(dtype, std::move(dims), "uint64_data", message.uint64_data(), 1);
    case DType::kUint32:
      return from_field<uint32_t>(dtype, std::move(dims), "uint64_data", message.uint64_data(), 1);
    case DType::kString:
      return from_string_data(std::move(dims), message);
    default:
      return from_int32_data(dtype, std::move(dims), message.int32_data());
  }
}

int used_fields(const proto::TensorProto& message) {
  return (message.has_raw_data() && !message.raw_data().empty()) + (message.float_data_size() > 0) +
         (message.int32_data_size() > 0) + (message.string_data_size() > 0) +
         (message.int64_data_size() > 0) + (message.double_data_size() > 0) +
         (message.uint64_data_size() > 0);
}

// Reading a bool of any other byte than 0 and 1 is undefined in C++.
Tensor with_clean_bools(Tensor tensor) {
  const auto dirty = [](std::byte byte) { return byte > std::byte{1}; };
  if (std::none_of(tensor.bytes(), tensor.bytes() + tensor.nbytes(), dirty)) return tensor;
  std::byte* bytes = tensor.mutable_bytes();
  for (size_t i = 0; i < tensor.nbytes(); ++i) {
    if (dirty(bytes[i])) bytes[i] = std::byte{1};
  }
  return tensor;
}

Tensor read_tensor(proto::TensorProto& message, ExternalFiles& files) {
  if (!is_known_dtype(message.data_type())) {
    throw BadModel("has the unknown data type " + std::to_string(message.data_type()));
  }
  if (message.has_segment()) throw Unsupported("tensors in segments are not supported");
  const DType dtype = static_cast<DType>(message.data_type());
  Dims dims(message.dims().begin(), message.dims().end());
  const int fields = used_fields(message);
  if (message.data_location() == proto::TensorProto::EXTERNAL) {
    if (fields > 0) throw BadModel("has data both inside the file and external");
    return files.read(message, dtype, std::move(dims));
  }
  if (fields > 1) throw BadModel("has data in more than one field");
  if (message.has_raw_data()) return from_raw_data(dtype, std::move(dims), message);
  return from_typed_field(dtype, std::move(dims), message);
}

}  // namespace

Tensor take_tensor(proto::TensorProto& message, ExternalFiles& files) {
  Tensor tensor;
  try {
    tensor = read_tensor(message, files);
    if (tensor.dtype() == DType::kBool) tensor = with_clean_bools(std::move(tensor));
  } catch (const BadModel& error) {
    throw BadModel("tensor '" + message.name() + "': " + error.what());
  }
  message.clear_dims();
  message.clear_data_type();
  message.clear_raw_data();
  message.clear_float_data();
  message.clear_int32_data();
  message.clear_string_data();
  message.clear_int64_data();
  message.clear_double_data();
  message.clear_uint64_data();
  message.clear_external_data();
  message.clear_data_location();
  return tensor;
}

SparseTensor take_sparse_tensor(proto::SparseTensorProto& message, ExternalFiles& files) {
  const std::string name = message.values().name();
  SparseTensor sparse;
  sparse.shape.assign(message.dims().begin(), message.dims().end());
  sparse.values = take_tensor(*message.mutable_values(), files);
  sparse.indices = take_tensor(*message.mutable_indices(), files);
  message.clear_dims();
  const int64_t rank = static_cast<int64_t>(sparse.shape.size());
  const Dims linear = {sparse.values.size()};
  const Dims by_axis = {sparse.values.size(), rank};
  const Dims& layout = sparse.indices.shape();
  element_count(sparse.shape);  // refuses impossible shapes
  if (sparse.values.rank() != 1 || sparse.indices.dtype() != DType::kInt64 ||
      (layout != linear && layout != by_axis)) {
    throw BadModel("sparse tensor '" + name + "': values " + to_string(sparse.values.shape()) +
                   " and indices " + std::string(dtype_name(sparse.indices.dtype())) +
                   to_string(layout) + " do not fit each other");
  }
  return sparse;
}

void embed_external_data(proto::TensorProto& message, ExternalFiles& files) {
  if (message.data_location() != proto::TensorProto::EXTERNAL) return;
  const proto::TensorProto original = message;
  const Tensor tensor = take_tensor(message, files);
  *message.mutable_dims() = original.dims();
  message.set_data_type(original.data_type());
  message.set_raw_data(tensor.bytes(), tensor.nbytes());
}

void embed_external_data(proto::AttributeProto& message, ExternalFiles& files) {
  const auto embed_sparse = [&](proto::SparseTensorProto& sparse) {
    if (sparse.has_values()) embed_external_data(*sparse.mutable_values(), files);
    if (sparse.has_indices()) embed_external_data(*sparse.mutable_indices(), files);
  };
  if (message.has_t()) embed_external_data(*message.mutable_t(), files);
  if (message.has_g()) embed_external_data(*message.mutable_g(), files);
  if (message.has_sparse_tensor()) embed_sparse(*message.mutable_sparse_tensor());
  for (auto& tensor : *message.mutable_tensors()) embed_external_data(tensor, files);
  for (auto& graph : *message.mutable_graphs()) embed_external_data(graph, files);
  for (auto& sparse : *message.mutable_sparse_tensors()) embed_sparse(sparse);
}

void embed_external_data(proto::GraphProto& message, ExternalFiles& files) {
  for (auto& tensor : *message.mutable_initializer()) embed_external_data(tensor, files);
  for (auto& sparse : *message.mutable_sparse_initializer()) {
    if (sparse.has_values()) embed_external_data(*sparse.mutable_values(), files);
    if (sparse.has_indices()) embed_external_data(*sparse.mutable_indices(), files);
  }
  for (auto& node : *message.mutable_node()) {
    for (auto& attribute : *node.mutable_attribute()) embed_external_data(attribute, files);
  }
}

}  // namespace dwindle
