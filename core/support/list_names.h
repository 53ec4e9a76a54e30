#pragma once

#include <cstddef>
#include <string>

namespace dwindle {

// "'a', 'b', 'c' and 4 more": names for a message, of which it tells the first `most`.
template <typename Names>
std::string list_names(const Names& names, size_t most = 3) {
  std::string text;
  size_t count = 0;
  for (const std::string& name : names) {
    if (count++ == most) return text + " and " + std::to_string(names.size() - most) + " more";
    text += (text.empty() ? "'" : ", '") + name + "'";
  }
  return text;
}

}  // namespace dwindle
