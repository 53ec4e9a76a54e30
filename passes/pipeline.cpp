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

std::string blame(const Recipe& recipe, size_t failed) {
  std::string text = "pass '" + recipe.steps[failed].pass + "'";
  for (size_t i = 0; i < failed; ++i) text += (i == 0 ? " (after " : ", ") + recipe.steps[i].pass;
  return text + (failed > 0 ? "): " : ": ");
}

void run_step(Model& model, const Step& step, PassContext& context, const PipelineOptions& options,
              PassReport& report) {
  const PassRow& row = find_pass(step.pass);
  if (row.needs_calibration && context.calibration == nullptr) {
    throw BadOption("needs calibration data");
  }
  report.result = row.make(complete_options(row, step.options))->run(model, context);
  if (options.verify && report.result.changed) verify(model);
}

}  // namespace

std::vector<PassReport> run_recipe(Model& model, const Recipe& recipe, PassContext& context,
                                   const PipelineOptions& options) {
  using Clock = std::chrono::steady_clock;
  std::vector<PassReport> reports;
  for (size_t i = 0; i < recipe.steps.size(); ++i) {
    const Step& step = recipe.steps[i];
    check_interrupted();
    if (context.progress != nullptr) context.progress->update(step.pass, i, recipe.steps.size());
    PassReport& report = reports.emplace_back();
    report.pass = step.pass;
    const auto start = Clock::now();
    try {
      run_step(model, step, context, options, report);
    } catch (const BadModel& error) {
      throw BadModel(blame(recipe, i) + error.what());
    } catch (const BadData& error) {
      throw BadData(blame(recipe, i) + error.what());
    } catch (const BadOption& error) {
      throw BadOption(blame(recipe, i) + error.what());
    } catch (const Unsupported& error) {
      throw Unsupported(blame(recipe, i) + error.what());
    } catch (const IoError& error) {
      throw IoError(blame(recipe, i) + error.what());
    } catch (const Error& error) {
      throw Error(blame(recipe, i) + error.what());
    } catch (const std::logic_error& error) {
      // A defect of the pass: no more of it should reach a file than of an invalid model.
      throw Error(blame(recipe, i) + error.what());
    }
    report.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (options.print != nullptr && report.result.changed) {
      *options.print << "# after " << step.pass << "\n" << to_text(model);
    }
  }
  return reports;
}

}  // namespace dwindle::passes
