// Protobuf says that a message cannot be read, but not why. This walks the wire format
// (https://protobuf.dev/programming-guides/encoding/) along the fields that can nest graphs.
#include "core/onnx/parse_failure.h"

#include <cstdint>
#include <vector>

namespace dwindle {
namespace {

// Levels of messages that protobuf reads, here and in other programs.
constexpr size_t kDeepest = 100;

enum class Kind { kModel, kGraph, kFunction, kNode, kAttribute, kOther };

Kind kind_of_field(Kind in, uint64_t field) {
  switch (in) {
    case Kind::kModel:
      return field == 7 ? Kind::kGraph : field == 25 ? Kind::kFunction : Kind::kOther;
    case Kind::kGraph:
      return field == 1 ? Kind::kNode : Kind::kOther;
    case Kind::kFunction:
      return field == 7 ? Kind::kNode : field == 11 ? Kind::kAttribute : Kind::kOther;
    case Kind::kNode:
      return field == 5 ? Kind::kAttribute : Kind::kOther;
    case Kind::kAttribute:
      return field == 6 || field == 11 ? Kind::kGraph : Kind::kOther;
    case Kind::kOther:
      break;
  }
  return Kind::kOther;
}

struct Reader {
  std::span<const std::byte> bytes;
  bool bad = false;

  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
      const uint64_t byte = static_cast<uint64_t>(bytes.front());
      bytes = bytes.subspan(1);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    bad = true;
    return 0;
  }

  std::span<const std::byte> take(uint64_t size) {
    if (size > bytes.size()) {
      bad = true;
      return {};
    }
    const auto taken = bytes.first(size);
    bytes = bytes.subspan(size);
    return taken;
  }

  // Skips to the next field that holds bytes; 0 at the end or where the encoding is broken.
  uint64_t next_field(std::span<const std::byte>& content, uint64_t& missing) {
    while (!bytes.empty() && !bad) {
      const uint64_t tag = varint();
      switch (tag & 7) {
        case 0:
          varint();
          break;
        case 1:
          take(8);
          break;
        case 5:
          take(4);
          break;
        case 2: {
          const uint64_t size = varint();
          if (!bad && size > bytes.size()) missing = size - bytes.size();
          content = take(size);
          return bad ? 0 : tag >> 3;
        }
        default:
          bad = true;
      }
    }
    return 0;
  }
};

bool nested_too_deep(std::span<const std::byte> bytes) {
  struct Level {
    Reader reader;
    Kind kind;
  };
  std::vector<Level> levels = {{{bytes}, Kind::kModel}};
  while (!levels.empty()) {
    if (levels.size() > kDeepest) return true;
    std::span<const std::byte> content;
    uint64_t missing = 0;
    const uint64_t field = levels.back().reader.next_field(content, missing);
    if (field == 0) {
      levels.pop_back();
      continue;
    }
    const Kind kind = kind_of_field(levels.back().kind, field);
    if (kind != Kind::kOther) levels.push_back({{content}, kind});
  }
  return false;
}

}  // namespace

std::string explain_parse_failure(std::span<const std::byte> bytes) {
  if (nested_too_deep(bytes)) {
    return "graphs are nested too deep: protobuf reads " + std::to_string(kDeepest) +
           " levels of messages, which is about 30 graphs";
  }
  Reader reader{bytes};
  std::span<const std::byte> content;
  uint64_t missing = 0;
  bool is_model = false;
  while (uint64_t field = reader.next_field(content, missing)) is_model |= field == 7;
  if (missing > 0 && missing < (uint64_t{1} << 31)) {
    return "the file is truncated or corrupt: " + std::to_string(missing) +
           " bytes are missing at its end";
  }
  return is_model ? "the file is corrupt" : "the file is no ONNX model, or is corrupt";
}

}  // namespace dwindle
