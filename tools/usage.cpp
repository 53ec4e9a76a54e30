#include "tools/usage.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "core/support/nearest.h"

namespace dwindle::cli {
namespace {

constexpr size_t kMostNames = 3;

bool is_flag(const std::string& text) {
  return text.size() > 1 && text[0] == '-' &&
         std::isdigit(static_cast<unsigned char>(text[1])) == 0;
}

std::vector<std::string> flags_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

// Of `verb`, or of the command itself where there is none.
std::string unknown_flag(const CLI::App& app, const CLI::App* verb, const std::string& given) {
  const std::string name = given.substr(0, given.find('='));
  const std::vector<std::string> before = flags_of(app);
  if (verb != nullptr && std::ranges::count(before, name) > 0) {
    return fmt::format("{} goes before the verb {}", name, verb->get_name());
  }
  return fmt::format("{}: no such option{}", name,
                     did_you_mean(name, verb == nullptr ? before : flags_of(*verb), kMostNames));
}

std::string unknown_verb(const CLI::App& app, const std::string& given) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands({})) names.push_back(verb->get_name());
  return fmt::format("{}: no such verb{}", given, did_you_mean(given, names, kMostNames));
}

std::string reason(const CLI::App& app, const CLI::App* verb, const CLI::ParseError& error) {
  const std::vector<std::string> rest = app.remaining();
  if (verb == nullptr && !rest.empty() && !is_flag(rest[0])) return unknown_verb(app, rest[0]);
  // A flag that is not known leaves its value behind, which then passes for another argument, and
  // the flag that was meant is missing: so it is looked for first.
  for (const CLI::App* level : {&app, verb}) {
    if (level == nullptr) continue;
    const std::vector<std::string> left = level->remaining();
    const auto flag = std::ranges::find_if(left, is_flag);
    if (flag != left.end()) return unknown_flag(app, level == &app ? nullptr : verb, *flag);
  }
  return error.what();
}

}  // namespace

std::string usage_message(const CLI::App& app, const CLI::ParseError& error) {
  const auto verbs = app.get_subcommands();
  const CLI::App* verb = verbs.empty() ? nullptr : verbs[0];
  return fmt::format("{} (see dwindle {}--help)", reason(app, verb, error),
                     verb == nullptr ? "" : verb->get_name() + " ");
}

}  // namespace dwindle::cli
