// Spelling help for messages about unknown names.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace dwindle {

// The candidate with the fewest single-character edits from `name`, where it is close enough to be
// a likely slip (about a third of the name); otherwise "". The first of equals wins.
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

// "; did you mean 'x'?" where there is such a candidate, else "".
std::string did_you_mean(std::string_view name, std::span<const std::string> candidates);

}  // namespace dwindle
