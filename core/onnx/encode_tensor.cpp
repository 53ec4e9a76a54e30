// Tensor to TensorProto, and the layout of the external-data file.
#include <google/protobuf/io/coded_stream.h>

#include <array>

#include "core/onnx/encode.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

constexpr size_t kLarge = 1024;
// The format asks for whole pages, so that a reader can map a tensor alone; for small tensors the
// gaps would be larger than the data.
constexpr size_t kPage = 4096;
constexpr size_t kCacheLine = 64;
constexpr size_t kPagedFrom = 64 * 1024;

// Puts integers into a field of varints where that takes less than their bytes: shapes, axes and
// indices are small numbers in 64 bits. (Protocol Buffers, "Encoding": seven bits a byte, negative
// ones ten bytes.)
template <typename T, typename Field>
bool put_shorter(const Tensor& tensor, Field* field) {
  const auto values = tensor.values<T>();
  size_t bytes = 0;
  for (const T value : values) {
    bytes += google::protobuf::io::CodedOutputStream::VarintSize64(static_cast<uint64_t>(value));
    if (bytes >= tensor.nbytes()) return false;
  }
  field->Assign(values.begin(), values.end());
  return true;
}

bool put_shorter(const Tensor& tensor, proto::TensorProto& message) {
  switch (tensor.dtype()) {
    case DType::kInt64:
      return put_shorter<int64_t>(tensor, message.mutable_int64_data());
    case DType::kUint64:
      return put_shorter<uint64_t>(tensor, message.mutable_uint64_data());
    case DType::kUint32:
      return put_shorter<uint32_t>(tensor, message.mutable_uint64_data());
    case DType::kInt32:
      return put_shorter<int32_t>(tensor, message.mutable_int32_data());
    case DType::kInt16:
      return put_shorter<int16_t>(tensor, message.mutable_int32_data());
    case DType::kUint16:
      return put_shorter<uint16_t>(tensor, message.mutable_int32_data());
    default:
      return false;
  }
}

}  // namespace

uint64_t DataLayout::place(const Tensor& tensor) {
  const auto key = std::pair(tensor.bytes(), tensor.nbytes());
  const auto known = places_.find(key);
  if (known != places_.end()) return known->second;
  const uint64_t alignment = tensor.nbytes() >= kPagedFrom ? kPage : kCacheLine;
  const uint64_t offset = (size_ + alignment - 1) / alignment * alignment;
  parts_.push_back({offset, tensor});
  places_.emplace(key, offset);
  size_ = offset + tensor.nbytes();
  return offset;
}

void DataLayout::write(const Sink& sink) const {
  static constexpr std::array<std::byte, kPage> kZeros{};
  uint64_t at = 0;
  for (const Part& part : parts_) {
    sink(std::span(kZeros).first(part.offset - at));
    sink({part.tensor.bytes(), part.tensor.nbytes()});
    at = part.offset + part.tensor.nbytes();
  }
}

bool TensorWriter::is_external(const Tensor& tensor) const {
  if (tensor.dtype() == DType::kString || tensor.nbytes() == 0) return false;
  return (policy_.mapped && tensor.mapped()) || (policy_.large && tensor.nbytes() >= kLarge);
}

bool TensorWriter::put_all_but_data(const Tensor& tensor, proto::TensorProto& message) {
  if (!tensor.defined()) throw Error("tensor '" + message.name() + "' has no data type");
  message.mutable_dims()->Assign(tensor.shape().begin(), tensor.shape().end());
  message.set_data_type(static_cast<int32_t>(tensor.dtype()));
  if (tensor.dtype() == DType::kString) {
    for (const std::string& value : tensor.string_values()) message.add_string_data(value);
    return false;
  }
  if (!is_external(tensor)) return tensor.nbytes() == 0 || !put_shorter(tensor, message);
  const auto add = [&](const char* key, const std::string& value) {
    proto::StringStringEntryProto& entry = *message.add_external_data();
    entry.set_key(key);
    entry.set_value(value);
  };
  add("location", policy_.location);
  add("offset", std::to_string(layout_.place(tensor)));
  add("length", std::to_string(tensor.nbytes()));
  message.set_data_location(proto::TensorProto::EXTERNAL);
  return false;
}

void TensorWriter::put(const Tensor& tensor, proto::TensorProto& message) {
  if (put_all_but_data(tensor, message)) message.set_raw_data(tensor.bytes(), tensor.nbytes());
}

}  // namespace dwindle
