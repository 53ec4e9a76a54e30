#include "core/support/utf8.h"

#include <cstdint>

namespace dwindle {
namespace {

// Bytes of the character at the start of `text`; 0 where there is none. Table 3-7 of the Unicode
// standard: no surrogates, nothing beyond U+10FFFF, no longer form than needed.
size_t character_size(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return 0;
  const uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (byte(1) < low || byte(1) > high) return 0;
  for (size_t i = 2; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  return size;
}

// The first byte that is no part of a character, from `at` on; the end where all are.
size_t first_stray(std::string_view text, size_t at) {
  while (at < text.size()) {
    const size_t size = character_size(text.substr(at));
    if (size == 0) break;
    at += size;
  }
  return at;
}

}  // namespace

bool is_utf8(std::string_view text) { return first_stray(text, 0) == text.size(); }

std::string as_utf8(std::string text) {
  for (size_t at = first_stray(text, 0); at < text.size(); at = first_stray(text, at)) {
    text[at] = '?';
  }
  return text;
}

}  // namespace dwindle
