#include "core/support/utf8.h"

#include <gtest/gtest.h>

namespace dwindle {
namespace {

TEST(Utf8, tells_characters_from_stray_bytes) {
  for (const char* text : {"", "plain", "ä", "→", "𝛼", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_utf8(text)) << text;
    EXPECT_EQ(as_utf8(text), text);
  }
  const struct {
    const char *text, *shown;
  } kStray[] = {{"W\xffW", "W?W"},
                {"\x80", "?"},
                {"a\xc3", "a?"},
                {"\xc0\xaf", "??"},
                {"\xed\xa0\x80", "???"},
                {"\xf4\x90\x80\x80", "????"},
                {"\xe2\x86y\xc3\xa4", "??y\xc3\xa4"}};
  for (const auto& [text, shown] : kStray) {
    EXPECT_FALSE(is_utf8(text)) << shown;
    EXPECT_EQ(as_utf8(text), shown);
  }
}

}  // namespace
}  // namespace dwindle
