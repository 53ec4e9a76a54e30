// dwindle quantize: weights and activations as integers, calibrated on data, held against the
// original.
#include <fmt/format.h>

#include <memory>
#include <optional>

#include "core/support/error.h"
#include "passes/quantize/quantize.h"
#include "passes/registry.h"
#include "tools/data_flags.h"
#include "tools/pass_flags.h"
#include "tools/progress_bar.h"
#include "tools/transform.h"
#include "tools/verb.h"

namespace dwindle::cli {
namespace {

struct Arguments {
  Paths paths;
  DataFlags data;
  PassFlags flags;
  passes::ProofOptions proof;
};

int quantize(Arguments arguments) {
  // Room for the result is needed beside OUT anyway.
  arguments.proof.scratch = std::filesystem::absolute(arguments.paths.output).parent_path();
  const passes::Recipe recipe = passes::quantize_recipe(arguments.flags.given());
  const bool with_data = !arguments.data.path.empty();
  if (passes::needs_calibration(recipe) && !with_data) {
    throw BadOption(
        "--calib is required: ranges of activations come from data (quantize weights "
        "alone with --activations none)");
  }
  Transform transform(arguments.paths);
  passes::ProvenResult result;
  {
    ProgressBar progress;
    result = with_data
                 ? passes::run_with_calibration(transform.model(), recipe,
                                                *open(arguments.data, transform.original()),
                                                arguments.proof, &progress)
                 : passes::run_without_data(transform.model(), recipe, arguments.proof, &progress);
  }
  if (!result.within_bound) {
    print_quality(*result.quality);
    throw BoundMissed(
        fmt::format("the top class changes in {:.2f} % of the samples, more than the "
                    "{:.2f} % that --max-drop allows; nothing is written",
                    100 * *result.quality->top1_drop(), 100 * *arguments.proof.max_drop));
  }
  transform.finish(result.passes);
  if (result.quality) print_quality(*result.quality);
  if (!result.unproven.empty()) {
    fmt::print("not run beside the original: {}\n", result.unproven);
  }
  return kDone;
}

}  // namespace

Action declare_quantize(CLI::App& app) {
  const auto arguments = std::make_shared<Arguments>();
  add_paths(app, arguments->paths);
  add_data_flags(app, arguments->data, "--calib", false);
  arguments->flags.add(app, passes::quantize_verb_row());
  app.add_option("--max-drop", arguments->proof.max_drop,
                 "Largest share (0 to 1) of the samples whose top class may change; more is exit "
                 "code 3, and nothing is written. For models with classes: an output with one axis "
                 "of more than one element beside the first");
  return [arguments] { return quantize(*arguments); };
}

}  // namespace dwindle::cli
