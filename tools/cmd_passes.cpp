// dwindle passes: the registry as a table, JSON or the reference page.
#include <fmt/format.h>

#include <memory>

#include "passes/describe.h"
#include "passes/registry.h"
#include "tools/verb.h"

namespace dwindle::cli {
namespace {

void print_table() {
  for (const passes::PassRow& row : passes::registry()) {
    fmt::print("{:<30} {}{}\n", row.name, row.summary,
               row.needs_calibration ? " (needs calibration data)" : "");
    for (const passes::OptionSpec& spec : row.options) {
      const std::string otherwise = passes::to_text(spec.otherwise);
      fmt::print("    {:<26} {}{}\n", spec.name, spec.help,
                 otherwise.empty() ? "" : " [" + otherwise + "]");
    }
  }
}

}  // namespace

Action declare_passes(CLI::App& app) {
  struct Arguments {
    bool json = false, markdown = false;
  };
  const auto arguments = std::make_shared<Arguments>();
  auto* json = app.add_flag("--json", arguments->json, "As JSON");
  app.add_flag("--markdown", arguments->markdown, "As the reference page")->excludes(json);
  return [arguments]() -> int {
    if (arguments->json) {
      fmt::print("{}", passes::registry_json());
    } else if (arguments->markdown) {
      fmt::print("{}", passes::registry_markdown());
    } else {
      print_table();
    }
    return kDone;
  };
}

}  // namespace dwindle::cli
