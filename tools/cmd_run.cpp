// dwindle run: the passes of a recipe file.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "core/support/error.h"
#include "core/support/file.h"
#include "passes/quantize/quantize.h"
#include "passes/registry.h"
#include "tools/data_flags.h"
#include "tools/progress_bar.h"
#include "tools/transform.h"
#include "tools/verb.h"

namespace dwindle::cli {
namespace {

struct Arguments {
  std::string recipe;
  Paths paths;
  DataFlags data;
  bool no_check = false;
};

passes::Recipe read_recipe(const std::string& path) {
  const auto file = MappedFile::open(path);
  const std::span<const std::byte> bytes = file->bytes();
  try {
    return passes::parse_recipe({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  } catch (const BadOption& error) {
    throw BadOption(path + ": " + error.what());
  }
}

int run(const Arguments& arguments) {
  const passes::Recipe recipe = read_recipe(arguments.recipe);
  if (arguments.data.path.empty()) {
    for (const passes::Step& step : recipe.steps) {
      if (!passes::find_pass(step.pass).needs_calibration) continue;
      throw BadOption("pass '" + step.pass + "' needs calibration data: give --calib DATA");
    }
  }
  Transform transform(arguments.paths);
  passes::ProvenResult result;
  std::string found = "not checked against the original";
  {
    ProgressBar progress;
    if (arguments.data.path.empty() && passes::quantizes(recipe)) {
      passes::ProofOptions proof;
      proof.run = !arguments.no_check;
      result = passes::run_without_data(transform.model(), recipe, proof, &progress);
      if (!result.unproven.empty()) found = "not run beside the original: " + result.unproven;
    } else if (arguments.data.path.empty()) {
      passes::PassContext context{nullptr, &progress};
      result.passes = passes::run_recipe(transform.model(), recipe, context);
    } else {
      const auto data = open(arguments.data, transform.original());
      result = passes::run_with_calibration(transform.model(), recipe, *data, {}, &progress);
    }
    // A recipe may change numbers on purpose, so what is found is told, not judged.
    const bool run = result.quality || !result.unproven.empty();
    if (!run && !arguments.no_check) found = transform.check(false);
  }
  transform.finish(result.passes);
  if (result.quality) {
    print_quality(*result.quality);
  } else {
    fmt::print("{}\n", found);
  }
  return kDone;
}

}  // namespace

Action declare_run(CLI::App& app) {
  const auto arguments = std::make_shared<Arguments>();
  app.add_option("RECIPE", arguments->recipe,
                 "JSON: {\"passes\": [\"fold-constants\", {\"pass\": \"quantize-static\", "
                 "\"per-tensor\": true}]}; see dwindle passes")
      ->required();
  add_paths(app, arguments->paths);
  add_data_flags(app, arguments->data, "--calib", false);
  app.add_flag("--no-check", arguments->no_check,
               "Do not run the result beside the original on random inputs");
  return [arguments] { return run(*arguments); };
}

}  // namespace dwindle::cli
