// Spelling help for messages about unknown names.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dwindle {

// The candidate with the fewest single-character edits from `name`, where it is close enough to be
// a likely slip (about a third of the name); otherwise "". The first of equals wins.
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

// Up to `most` candidates that `name` may mean: first the likely slips, nearest first, then those
// that hold `name`, or something close to it (a fifth of it edited), as a part.
std::vector<std::string> nearest_names(std::string_view name,
                                       std::span<const std::string> candidates, size_t most);

// "; did you mean 'x' or 'y'?" of up to `most` such candidates; "" where there is none.
std::string did_you_mean(std::string_view name, std::span<const std::string> candidates,
                         size_t most = 1);

}  // namespace dwindle
