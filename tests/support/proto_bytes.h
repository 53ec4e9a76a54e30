// Builds encoded protobuf messages field by field, so that tests can make any file, invalid ones
// included, without the code that they test.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace dwindle::testing {

class ProtoBytes {
 public:
  ProtoBytes& integer(uint32_t field, int64_t value) {
    varint(field << 3);
    varint(static_cast<uint64_t>(value));
    return *this;
  }
  ProtoBytes& real(uint32_t field, float value) {
    varint(field << 3 | 5);
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    bytes_.append(bytes, sizeof value);
    return *this;
  }
  // A string, bytes, packed numbers or an encoded message.
  ProtoBytes& bytes(uint32_t field, std::string_view content) {
    return header(field, content.size()).raw(content);
  }
  // What comes before `size` bytes of content.
  ProtoBytes& header(uint32_t field, size_t size) {
    varint(field << 3 | 2);
    varint(size);
    return *this;
  }
  ProtoBytes& message(uint32_t field, const ProtoBytes& content) {
    return bytes(field, content.bytes_);
  }
  // Fields that are encoded already.
  ProtoBytes& raw(std::string_view content) {
    bytes_ += content;
    return *this;
  }

  const std::string& str() const { return bytes_; }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

}  // namespace dwindle::testing
