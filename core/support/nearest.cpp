#include "core/support/nearest.h"

#include <algorithm>
#include <numeric>

namespace dwindle {
namespace {

// Shorter ones are part of too much.
constexpr size_t kLeastPart = 3;

// Levenshtein distance of `a` from `b` or, with `part`, from that part of `b` where it is least;
// one row at a time.
size_t edit_distance(std::string_view a, std::string_view b, bool part = false) {
  std::vector<size_t> row(b.size() + 1);
  if (!part) std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t substituted = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substituted, row[j] + 1, row[j + 1] + 1});
    }
  }
  return part ? *std::min_element(row.begin(), row.end()) : row.back();
}

// One more than the edits of a likely slip.
size_t slip_limit(std::string_view name) { return std::max<size_t>(name.size() / 3 + 1, 2); }

// The edits between two names; `limit` or more where they are at least that many.
size_t slip(std::string_view name, std::string_view candidate, size_t limit) {
  const size_t longer = std::max(name.size(), candidate.size());
  const size_t shorter = std::min(name.size(), candidate.size());
  return longer - shorter >= limit ? limit : edit_distance(name, candidate);
}

}  // namespace

std::string nearest_name(std::string_view name, std::span<const std::string> candidates) {
  std::string best;
  size_t least = slip_limit(name);
  for (const std::string& candidate : candidates) {
    const size_t distance = slip(name, candidate, least);
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

std::vector<std::string> nearest_names(std::string_view name,
                                       std::span<const std::string> candidates, size_t most) {
  std::vector<std::pair<size_t, std::string>> ranked;
  const size_t limit = slip_limit(name);
  for (const std::string& candidate : candidates) {
    const size_t distance = slip(name, candidate, limit);
    if (distance < limit) {
      ranked.emplace_back(distance, candidate);
    } else if (name.size() >= kLeastPart) {
      const size_t part = edit_distance(name, candidate, true);
      if (part <= name.size() / 5) ranked.emplace_back(limit + part, candidate);
    }
  }
  std::ranges::stable_sort(ranked, {}, &std::pair<size_t, std::string>::first);
  std::vector<std::string> names;
  for (auto& [rank, candidate] : ranked) {
    if (names.size() < most) names.push_back(std::move(candidate));
  }
  return names;
}

std::string did_you_mean(std::string_view name, std::span<const std::string> candidates,
                         size_t most) {
  const std::vector<std::string> names = nearest_names(name, candidates, most);
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    text += (i == 0 ? "'" : i + 1 < names.size() ? ", '" : " or '") + names[i] + "'";
  }
  return text.empty() ? "" : "; did you mean " + text + "?";
}

}  // namespace dwindle
