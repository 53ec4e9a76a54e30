#include "passes/quantize/size_guard.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>

#include "core/onnx/onnx.h"
#include "passes/quantize/targets.h"
#include "passes/registry.h"

namespace dwindle::passes {
namespace {

// The report of the pass that quantized; of the last one, where none did.
PassReport& quantizer(ProvenResult& result) {
  const auto report = std::ranges::find_if(result.passes, is_quantizer, &PassReport::pass);
  return report == result.passes.end() ? result.passes.back() : *report;
}

bool may_grow(const Recipe& recipe) {
  return std::ranges::any_of(recipe.steps, [](const Step& step) {
    const PassRow& row = find_pass(step.pass);
    return has_option(row, "may-grow") && complete_options(row, step.options).get<bool>("may-grow");
  });
}

// The same without activations; none where there is no quantize-static, or the target computes in
// integers alone.
std::optional<Recipe> weights_alone(Recipe quantization) {
  const auto step = std::ranges::find(quantization.steps, "quantize-static", &Step::pass);
  if (step == quantization.steps.end()) return std::nullopt;
  const Options options = complete_options(find_pass(step->pass), step->options);
  if (!find_target(options.get<std::string>("target")).takes(DType::kUndefined))
    return std::nullopt;
  step->pass = "quantize-weights";
  std::erase_if(step->options, [&](const auto& option) {
    return !has_option(find_pass(step->pass), option.first);
  });
  return quantization;
}

bool any_quantized(const std::vector<PassReport>& reports) {
  return std::ranges::any_of(reports, [](const PassReport& report) {
    return is_quantizer(report.pass) && report.result.changed;
  });
}

// The reports of a quantization that is given up tell of what is not in the file.
void forget(const Recipe& quantization, ProvenResult& result) {
  result.passes.resize(result.passes.size() - quantization.steps.size());
}

// What was implied is taken back where it has done anything, and told of no more. What comes behind
// the quantization is done again.
void undo_implied(Model& model, const Model& simplified, const Recipe& quantization,
                  PassContext& context, ProvenResult& result) {
  const size_t first = result.passes.size() - quantization.steps.size();
  std::vector<PassReport> told;
  Recipe behind;
  bool changed = false;
  for (size_t i = 0; i < quantization.steps.size(); ++i) {
    const Step& step = quantization.steps[i];
    PassReport& report = result.passes[first + i];
    changed |= step.implied && report.result.changed;
    if (step.implied) continue;
    told.push_back(std::move(report));
    if (!is_quantizer(step.pass)) behind.steps.push_back(step);
  }
  forget(quantization, result);
  std::ranges::move(told, std::back_inserter(result.passes));
  if (!changed) return;
  model = simplified.clone();
  run_recipe(model, behind, context);
}

}  // namespace

void undo_where_useless(Model& model, const Model& simplified, const Model& original,
                        const Recipe& quantization, const PassContext& context,
                        ProvenResult& result) {
  PassContext without_data = context;  // it has been read
  without_data.calibration = nullptr;
  const bool quantized = has_quantized(result);
  if (!quantized) undo_implied(model, simplified, quantization, without_data, result);
  const uint64_t before = serialized_size(original), after = serialized_size(model);
  if (after <= before || result.passes.empty()) return;
  const std::string sizes = fmt::format("{} bytes, more than the {} that it had", after, before);
  if (quantized && may_grow(quantization)) {
    quantizer_notes(result).push_back("the file takes " + sizes);
    return;
  }
  const std::optional<Recipe> other = quantized ? weights_alone(quantization) : std::nullopt;
  if (other) {
    model = simplified.clone();
    std::vector<PassReport> reports = run_recipe(model, *other, without_data);
    if (any_quantized(reports) && serialized_size(model) <= before) {
      forget(quantization, result);
      std::ranges::move(reports, std::back_inserter(result.passes));
      quantizer_notes(result).push_back("with its activations quantized, the model would take " +
                                        sizes + ": its weights alone are quantized");
      return;
    }
  }
  model = serialized_size(simplified) <= before ? simplified.clone() : original.clone();
  if (!quantized) return;
  const std::string pass = quantizer(result).pass;
  forget(quantization, result);
  result.passes.push_back({pass, {}, 0});
  quantizer_notes(result).push_back("quantized, the model would take " + sizes +
                                    ": it stays in float (may-grow takes it nevertheless)");
}

bool has_quantized(const ProvenResult& result) { return any_quantized(result.passes); }

std::vector<std::string>& quantizer_notes(ProvenResult& result) {
  return quantizer(result).result.notes;
}

}  // namespace dwindle::passes
