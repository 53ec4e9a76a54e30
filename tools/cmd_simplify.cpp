// dwindle simplify: smaller, and provably the same.
#include <fmt/format.h>

#include <memory>

#include "passes/pipeline.h"
#include "passes/quantize/parameters.h"
#include "tools/progress_bar.h"
#include "tools/transform.h"
#include "tools/verb.h"

namespace dwindle::cli {
namespace {

struct Arguments {
  Paths paths;
  bool no_check = false;
};

int simplify(const Arguments& arguments) {
  Transform transform(arguments.paths);
  passes::require_sound_weights(transform.original());
  std::vector<passes::PassReport> reports;
  std::string found;
  {
    ProgressBar progress;
    passes::PassContext context{nullptr, &progress};
    reports = passes::run_recipe(transform.model(), passes::simplify_recipe(), context);
    progress.update("checking", 0, 0);
    if (!arguments.no_check) found = transform.check(true);
  }
  transform.finish(reports);
  fmt::print("{}\n", arguments.no_check ? "not checked against the original" : found);
  return kDone;
}

}  // namespace

Action declare_simplify(CLI::App& app) {
  const auto arguments = std::make_shared<Arguments>();
  add_paths(app, arguments->paths);
  app.add_flag("--no-check", arguments->no_check,
               "Do not run the result beside the original on random inputs");
  return [arguments] { return simplify(*arguments); };
}

}  // namespace dwindle::cli
