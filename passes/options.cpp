#include <algorithm>
#include <cmath>

#include "core/support/error.h"
#include "core/support/nearest.h"
#include "passes/describe.h"
#include "passes/registry.h"

namespace dwindle::passes {
namespace {

// By alternative of OptionValue.
constexpr const char* kTypeNames[] = {"true or false", "an integer", "a number", "a string",
                                      "a list of strings"};

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

[[noreturn]] void unknown_option(const PassRow& row, const std::string& name) {
  std::vector<std::string> names;
  for (const OptionSpec& spec : row.options) names.push_back(spec.name);
  const std::string pass = "pass '" + std::string(row.name) + "'";
  throw BadOption(pass + " has no option '" + name + "'" + did_you_mean(name, names) +
                  (names.empty() ? " (it has none)" : " (it has: " + joined(names) + ")"));
}

void check_choices(const PassRow& row, const OptionSpec& spec, const OptionValue& value) {
  if (spec.choices.empty()) return;
  const auto* one = std::get_if<std::string>(&value);
  const auto* many = std::get_if<std::vector<std::string>>(&value);
  const std::vector<std::string> texts = one != nullptr    ? std::vector<std::string>{*one}
                                         : many != nullptr ? *many
                                                           : std::vector<std::string>{};
  for (const std::string& text : texts) {
    if (std::find(spec.choices.begin(), spec.choices.end(), text) != spec.choices.end()) continue;
    throw BadOption("option '" + spec.name + "' of pass '" + std::string(row.name) +
                    "' cannot be '" + text + "'" + did_you_mean(text, spec.choices) +
                    " (it is one of: " + joined(spec.choices) + ")");
  }
}

void check_range(const PassRow& row, const OptionSpec& spec, const OptionValue& value) {
  const auto* integer = std::get_if<int64_t>(&value);
  const auto* real = std::get_if<double>(&value);
  if (integer == nullptr && real == nullptr) return;
  const double number = real != nullptr ? *real : static_cast<double>(*integer);
  const NumberRange& range = spec.range;
  const bool high_enough = range.above_least ? number > range.least : number >= range.least;
  if (std::isfinite(number) && high_enough && number <= range.most) return;
  const std::string wanted = to_text(range);
  throw BadOption("option '" + spec.name + "' of pass '" + std::string(row.name) + "' cannot be " +
                  to_text(value) + "; it is " + (wanted.empty() ? "a finite number" : wanted));
}

OptionValue checked(const PassRow& row, const OptionSpec& spec, const OptionValue& given) {
  OptionValue value = given;
  const auto* integer = std::get_if<int64_t>(&value);
  if (integer != nullptr && std::holds_alternative<double>(spec.otherwise)) {
    value = static_cast<double>(*integer);
  }
  if (integer != nullptr && std::holds_alternative<bool>(spec.otherwise) &&
      (*integer == 0 || *integer == 1)) {
    value = *integer == 1;
  }
  const auto* text = std::get_if<std::string>(&given);
  if (text != nullptr && std::holds_alternative<std::vector<std::string>>(spec.otherwise)) {
    value = std::vector<std::string>{*text};
  }
  if (value.index() != spec.otherwise.index()) {
    throw BadOption("option '" + spec.name + "' of pass '" + std::string(row.name) + "' wants " +
                    kTypeNames[spec.otherwise.index()] + ", got " + kTypeNames[given.index()]);
  }
  check_choices(row, spec, value);
  check_range(row, spec, value);
  return value;
}

}  // namespace

bool has_option(const PassRow& row, std::string_view name) {
  return std::ranges::any_of(row.options,
                             [&](const OptionSpec& spec) { return spec.name == name; });
}

Options complete_options(const PassRow& row, const std::map<std::string, OptionValue>& given) {
  std::map<std::string, OptionValue> values;
  for (const OptionSpec& spec : row.options) values.emplace(spec.name, spec.otherwise);
  for (const auto& [name, value] : given) {
    const auto spec = std::find_if(row.options.begin(), row.options.end(),
                                   [&](const OptionSpec& option) { return option.name == name; });
    if (spec == row.options.end()) unknown_option(row, name);
    values[name] = checked(row, *spec, value);
  }
  std::set<std::string> names;
  for (const auto& [name, value] : given) names.insert(name);
  return Options(std::move(values), std::move(names));
}

}  // namespace dwindle::passes
