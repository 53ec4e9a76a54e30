#include "passes/pipeline.h"

#include <algorithm>
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

std::vector<ValueType> output_types(const Model& model) {
  std::vector<ValueType> types;
  for (const Value* output : model.graph->outputs()) types.push_back(output->type);
  return types;
}

bool contradict(const ValueType& a, const ValueType& b) {
  if (!a.shape || !b.shape) return false;
  return !std::ranges::equal(*a.shape, *b.shape, [](const Dim& x, const Dim& y) {
    return !x.known() || !y.known() || x.extent == y.extent;
  });
}

// Declared shapes give way to what the nodes make (ShapeInference), which somebody should know.
void tell_contradicted(const Model& model, const std::vector<ValueType>& before,
                       PassResult& result) {
  const std::vector<Value*>& outputs = model.graph->outputs();
  if (outputs.size() != before.size()) return;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!contradict(before[i], outputs[i]->type)) continue;
    result.notes.push_back("output '" + outputs[i]->name() + "' was declared as " +
                           to_string(before[i]) + ", but its nodes make " +
                           to_string(outputs[i]->type) + ", which the result declares");
  }
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
    const std::vector<ValueType> outputs = output_types(model);
    const auto start = Clock::now();
    try {
      report.result = passes[i]->run(model, context);
      if (step.implied && !report.result.changed) report.result.notes.clear();
      tell_contradicted(model, outputs, report.result);
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
