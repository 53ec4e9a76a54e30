#include "passes/describe.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "passes/registry.h"

namespace dwindle::passes {
namespace {

using Json = nlohmann::ordered_json;

// By alternative of OptionValue.
constexpr const char* kTypes[] = {"bool", "int", "float", "str", "list"};

Json json_of(const OptionSpec& spec) {
  Json json = {{"name", spec.name}, {"type", kTypes[spec.otherwise.index()]}};
  std::visit([&](const auto& value) { json["default"] = value; }, spec.otherwise);
  json["help"] = spec.help;
  if (!spec.choices.empty()) json["choices"] = spec.choices;
  if (const std::string range = to_text(spec.range); !range.empty()) json["range"] = range;
  return json;
}

std::string markdown_of(const OptionSpec& spec) {
  std::string type = kTypes[spec.otherwise.index()];
  if (!spec.choices.empty()) type = fmt::format("{}", fmt::join(spec.choices, ", "));
  if (const std::string range = to_text(spec.range); !range.empty()) type += ", " + range;
  const std::string otherwise = to_text(spec.otherwise);
  return fmt::format("| `{}` | {} | {} | {} |\n", spec.name, type,
                     otherwise.empty() ? "" : "`" + otherwise + "`", spec.help);
}

}  // namespace

std::string to_text(const OptionValue& value) {
  struct {
    std::string operator()(bool x) const { return x ? "true" : "false"; }
    std::string operator()(int64_t x) const { return std::to_string(x); }
    std::string operator()(double x) const { return fmt::format("{}", x); }
    std::string operator()(const std::string& x) const { return x; }
    std::string operator()(const std::vector<std::string>& x) const {
      return fmt::format("{}", fmt::join(x, ","));
    }
  } format;
  return std::visit(format, value);
}

std::string to_text(const NumberRange& range) {
  const bool above = range.above_least, least = std::isfinite(range.least);
  if (!std::isfinite(range.most)) {
    if (!least) return "";
    return above ? fmt::format("above {}", range.least) : fmt::format("{} or more", range.least);
  }
  if (!least) return fmt::format("at most {}", range.most);
  return above ? fmt::format("above {} and at most {}", range.least, range.most)
               : fmt::format("between {} and {}", range.least, range.most);
}

std::string registry_json() {
  Json rows = Json::array();
  for (const PassRow& row : registry()) {
    Json options = Json::array();
    for (const OptionSpec& spec : row.options) options.push_back(json_of(spec));
    rows.push_back({{"name", row.name},
                    {"summary", row.summary},
                    {"needs_calibration", row.needs_calibration},
                    {"options", options}});
  }
  return rows.dump(2) + "\n";
}

std::string registry_markdown() {
  std::string page =
      "# Passes\n\nEvery pass that a recipe can name. This page is made by `dwindle passes "
      "--markdown`.\n";
  for (const PassRow& row : registry()) {
    page += fmt::format("\n## {}\n\n{}.{}\n", row.name, row.summary,
                        row.needs_calibration ? " Needs calibration data." : "");
    if (row.options.empty()) continue;
    page += "\n| option | type | default | |\n|---|---|---|---|\n";
    for (const OptionSpec& spec : row.options) page += markdown_of(spec);
  }
  return page;
}

}  // namespace dwindle::passes
