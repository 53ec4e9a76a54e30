#include "core/data/npy.h"

#include <cstring>
#include <optional>
#include <string_view>

#include "core/data/array_stream.h"
#include "core/support/error.h"
#include "core/support/file.h"

namespace dwindle {
namespace {

constexpr size_t kLongestHeader = size_t{1} << 20;

// Reads the Python literal that a header is: a dict of a string, a bool and a tuple of integers.
class HeaderReader {
 public:
  HeaderReader(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  void read(std::string& descr, bool& fortran_order, Dims& shape) {
    bool has_descr = false, has_order = false, has_shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr") {
        descr = string();
        has_descr = true;
      } else if (key == "fortran_order") {
        fortran_order = boolean();
        has_order = true;
      } else if (key == "shape") {
        shape = tuple();
        has_shape = true;
      } else {
        fail();
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (!has_descr || !has_order || !has_shape) fail();
  }

 private:
  [[noreturn]] void fail() const { throw BadData(name_ + ": the header of the array is damaged"); }

  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }

  bool accept(char wanted) {
    skip_blanks();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  void expect(char wanted) {
    if (!accept(wanted)) fail();
  }

  std::string string() {
    skip_blanks();
    if (at_ < text_.size() && text_[at_] == '[') {
      throw BadData(name_ + ": a structured array; arrays of one plain number type are wanted");
    }
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) fail();
    const size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos) fail();
    std::string value(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return value;
  }

  bool boolean() {
    skip_blanks();
    for (const std::string_view word : {"True", "False"}) {
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return word == "True";
      }
    }
    fail();
  }

  Dims tuple() {
    Dims dims;
    expect('(');
    while (!accept(')')) {
      dims.push_back(integer());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return dims;
  }

  int64_t integer() {
    skip_blanks();
    const size_t begin = at_;
    int64_t value = 0;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
      if (__builtin_mul_overflow(value, 10, &value) ||
          __builtin_add_overflow(value, text_[at_] - '0', &value)) {
        fail();
      }
      ++at_;
    }
    if (at_ == begin) fail();
    if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // as Python 2 wrote it
    return value;
  }

  std::string_view text_;
  const std::string& name_;
  size_t at_ = 0;
};

std::optional<DType> dtype_of_code(std::string_view code) {
  struct Row {
    std::string_view code;
    DType dtype;
  };
  constexpr Row kRows[] = {
      {"f4", DType::kFloat},     {"f8", DType::kDouble},     {"f2", DType::kFloat16},
      {"i1", DType::kInt8},      {"i2", DType::kInt16},      {"i4", DType::kInt32},
      {"i8", DType::kInt64},     {"u1", DType::kUint8},      {"u2", DType::kUint16},
      {"u4", DType::kUint32},    {"u8", DType::kUint64},     {"b1", DType::kBool},
      {"c8", DType::kComplex64}, {"c16", DType::kComplex128}};
  for (const Row& row : kRows) {
    if (row.code == code) return row.dtype;
  }
  return std::nullopt;
}

DType parse_dtype(const std::string& descr, const std::string& name) {
  const char order = descr.empty() ? '?' : descr[0];
  if (order == '>') {
    throw BadData(name + ": the elements are big-endian ('" + descr +
                  "'); convert the array with astype() to its native type and save it again");
  }
  std::optional<DType> dtype;
  if (order == '<' || order == '|' || order == '=') dtype = dtype_of_code(descr.substr(1));
  if (!dtype) {
    throw BadData(name + ": elements of type '" + descr +
                  "' cannot be fed; numbers and bools of numpy's own types can");
  }
  return *dtype;
}

class NpyStream : public ArrayStream {
 public:
  NpyStream(const NpyHeader& header, std::shared_ptr<const MappedFile> file)
      : ArrayStream(header.dtype, header.shape),
        file_(std::move(file)),
        data_(file_->bytes().subspan(header.size)) {}

  void read(std::byte* out, size_t size) override {
    std::memcpy(out, data_.data() + at_, size);
    at_ += size;
  }
  void rewind() override { at_ = 0; }

 private:
  std::shared_ptr<const MappedFile> file_;
  std::span<const std::byte> data_;
  size_t at_ = 0;
};

class TensorStream : public ArrayStream {
 public:
  explicit TensorStream(Tensor tensor)
      : ArrayStream(tensor.dtype(), tensor.shape()), tensor_(std::move(tensor)) {}

  void read(std::byte* out, size_t size) override {
    if (size > 0) std::memcpy(out, tensor_.bytes() + at_, size);
    at_ += size;
  }
  void rewind() override { at_ = 0; }

 private:
  Tensor tensor_;
  size_t at_ = 0;
};

}  // namespace

size_t NpyHeader::data_bytes() const {
  try {
    return packed_bytes(dtype, element_count(shape));
  } catch (const BadModel& error) {
    throw BadData(error.what());
  }
}

NpyHeader read_npy_header(const std::function<void(std::byte* out, size_t size)>& read,
                          const std::string& name) {
  unsigned char start[8] = {};
  read(reinterpret_cast<std::byte*>(start), sizeof start);
  if (std::memcmp(start, "\x93NUMPY", 6) != 0) throw BadData(name + " is no .npy array");
  const int version = start[6];
  if (version < 1 || version > 3) {
    throw BadData(name + ": version " + std::to_string(version) + " of .npy is not known");
  }
  unsigned char length[4] = {};
  const size_t length_bytes = version == 1 ? 2 : 4;
  read(reinterpret_cast<std::byte*>(length), length_bytes);
  size_t text_size = 0;
  for (size_t i = 0; i < length_bytes; ++i) text_size |= size_t{length[i]} << (8 * i);
  if (text_size > kLongestHeader) throw BadData(name + ": the header of the array is damaged");
  std::string text(text_size, '\0');
  read(reinterpret_cast<std::byte*>(text.data()), text_size);

  NpyHeader header;
  header.size = sizeof start + length_bytes + text_size;
  std::string descr;
  HeaderReader(text, name).read(descr, header.fortran_order, header.shape);
  header.dtype = parse_dtype(descr, name);
  try {
    header.data_bytes();
  } catch (const BadData& error) {
    throw BadData(name + ": " + error.what());
  }
  // Up to one axis both orders are the same.
  if (header.shape.size() < 2) header.fortran_order = false;
  return header;
}

Tensor from_fortran_order(const Tensor& tensor) {
  const size_t width = static_cast<size_t>(dtype_bits(tensor.dtype())) / 8;
  const Dims& shape = tensor.shape();
  Dims strides(shape.size(), 1);
  for (size_t axis = 1; axis < shape.size(); ++axis) {
    strides[axis] = strides[axis - 1] * shape[axis - 1];
  }
  Tensor result = Tensor::allocate(tensor.dtype(), shape);
  std::byte* out = result.mutable_bytes();
  Dims index(shape.size(), 0);
  int64_t from = 0;
  for (int64_t i = 0; i < tensor.size(); ++i) {
    std::memcpy(out + i * width, tensor.bytes() + from * width, width);
    for (size_t axis = shape.size(); axis-- > 0;) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return result;
}

Tensor ArrayStream::read_all() {
  rewind();
  Tensor tensor = Tensor::allocate(dtype_, shape_);
  if (tensor.nbytes() > 0) read(tensor.mutable_bytes(), tensor.nbytes());
  return tensor;
}

std::unique_ptr<ArrayStream> stream_tensor(Tensor tensor) {
  if (dtype_bits(tensor.dtype()) % 8 != 0 || tensor.dtype() == DType::kString) {
    throw Unsupported("samples of " + std::string(dtype_name(tensor.dtype())) +
                      " cannot be split into batches; give one dict a feed");
  }
  return std::make_unique<TensorStream>(std::move(tensor));
}

std::unique_ptr<ArrayStream> open_npy(const std::filesystem::path& path) {
  const std::string name = path.string();
  auto file = MappedFile::open(path);
  const std::span<const std::byte> bytes = file->bytes();
  size_t at = 0;
  const NpyHeader header = read_npy_header(
      [&](std::byte* out, size_t size) {
        if (size > bytes.size() - at) throw BadData(name + " is no .npy array, or is cut off");
        std::memcpy(out, bytes.data() + at, size);
        at += size;
      },
      name);
  if (header.data_bytes() > bytes.size() - header.size) {
    throw BadData(name + " is cut off: " + to_string(header.shape) + " " +
                  std::string(dtype_name(header.dtype)) + " takes more than the " +
                  std::to_string(bytes.size()) + " bytes of the file");
  }
  if (!header.fortran_order) return std::make_unique<NpyStream>(header, std::move(file));
  const Tensor columns =
      Tensor::borrow(header.dtype, header.shape, bytes.data() + header.size, file);
  return stream_tensor(from_fortran_order(columns));
}

}  // namespace dwindle
