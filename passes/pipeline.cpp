#include "passes/pipeline.h"

#include <chrono>
#include <ostream>

#include "core/ir/print.h"
#include "core/ir/verify.h"
#include "core/support/error.h"
#include "core/support/interrupt.h"
#include "passes/registry.h"

namespace dwindle::passes {
namespace {

// The message, then where it arose: what is wrong concerns more people than which pass met it.
std::string blamed(const std::exception& error, const Recipe& recipe, size_t failed) {
  std::string text = std::string(error.what()) + " (in pass '" + recipe.steps[failed].pass + "'";
  if (failed > 0) text += ", after '" + recipe.steps[failed - 1].pass + "'";
  return text + ")";
}

// All passes before the first runs, so that a bad option costs no work.
std::vector<std::unique_ptr<Pass>> make_passes(const Recipe& recipe, const PassContext& context) {
  std::vector<std::unique_ptr<Pass>> made;
  for (const Step& step : recipe.steps) {
    const PassRow& row = find_pass(step.pass);
    const Options options = complete_options(row, step.options);
    if (row.needs_calibration && context.calibration == nullptr) {
      throw BadOption("pass '" + step.pass + "' needs calibration data");
    }
    try {
      made.push_back(row.make(options));
    } catch (const BadOption& error) {
      throw BadOption("pass '" + step.pass + "': " + error.what());
    }
  }
  return made;
}

}  // namespace

std::vector<PassReport> run_recipe(Model& model, const Recipe& recipe, PassContext& context,
                                   const PipelineOptions& options) {
  using Clock = std::chrono::steady_clock;
  std::vector<PassReport> reports;
  const std::vector<std::unique_ptr<Pass>> passes = make_passes(recipe, context);
  for (size_t i = 0; i < recipe.steps.size(); ++i) {
    const Step& step = recipe.steps[i];
    check_interrupted();
    if (context.progress != nullptr) context.progress->update(step.pass, i, recipe.steps.size());
    PassReport& report = reports.emplace_back();
    report.pass = step.pass;
    const auto start = Clock::now();
    try {
      report.result = passes[i]->run(model, context);
      if (step.implied && !report.result.changed) report.result.notes.clear();
      if (options.verify && report.result.changed) verify(model);
    } catch (const BadModel& error) {
      throw BadModel(blamed(error, recipe, i));
    } catch (const BadData& error) {
      throw BadData(blamed(error, recipe, i));
    } catch (const BadOption& error) {
      // The passes before have no part in it.
      throw BadOption("pass '" + step.pass + "': " + error.what());
    } catch (const Unsupported& error) {
      throw Unsupported(blamed(error, recipe, i));
    } catch (const IoError& error) {
      throw IoError(blamed(error, recipe, i));
    } catch (const Error& error) {
      throw Error(blamed(error, recipe, i));
    } catch (const std::logic_error& error) {
      // A defect of the pass: no more of it should reach a file than of an invalid model.
      throw Error(blamed(error, recipe, i));
    }
    report.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (options.print != nullptr && report.result.changed) {
      *options.print << "# after " << step.pass << "\n" << to_text(model);
    }
  }
  return reports;
}

}  // namespace dwindle::passes
