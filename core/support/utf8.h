// Text of files, which may hold any bytes, beside text for people and for Python, which is UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace dwindle {

bool is_utf8(std::string_view text);

// `text` with '?' for each byte that is no part of a UTF-8 character.
std::string as_utf8(std::string text);

}  // namespace dwindle
