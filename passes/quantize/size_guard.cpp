#include "passes/quantize/size_guard.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>

#include "core/onnx/onnx.h"
#include "passes/registry.h"

namespace dwindle::passes {
namespace {

bool may_grow(const Recipe& recipe) {
  return std::ranges::any_of(recipe.steps, [](const Step& step) {
    const PassRow& row = find_pass(step.pass);
    return has_option(row, "may-grow") && complete_options(row, step.options).get<bool>("may-grow");
  });
}

// The recipe's quantize-static without activations; none where it has no such step.
std::optional<Recipe> weights_alone(const Recipe& recipe) {
  for (const Step& step : recipe.steps) {
    if (step.pass != "quantize-static") continue;
    Step weights = {"quantize-weights", step.options};
    std::erase_if(weights.options, [&](const auto& option) {
      return !has_option(find_pass(weights.pass), option.first);
    });
    return Recipe{{weights, {"drop-dead-code", {}}, {"drop-notes", {}}}};
  }
  return std::nullopt;
}

}  // namespace

void undo_where_larger(Model& model, const Model& simplified, const Model& original,
                       const Recipe& recipe, const PassContext& context, ProvenResult& result) {
  const uint64_t before = serialized_size(original), after = serialized_size(model);
  if (after <= before || result.passes.empty()) return;
  const std::string sizes = fmt::format("{} bytes, more than the {} that it had", after, before);
  if (may_grow(recipe)) {
    quantizer_notes(result).push_back("the file takes " + sizes);
    return;
  }
  // What became larger may be a newer opset alone.
  const bool quantized = quantized_weights(result);
  const std::optional<Recipe> other = quantized ? weights_alone(recipe) : std::nullopt;
  if (other) {
    model = simplified.clone();
    PassContext without_data = context;  // it has been read
    without_data.calibration = nullptr;
    std::vector<PassReport> reports = run_recipe(model, *other, without_data);
    if (serialized_size(model) <= before) {
      quantizer_notes(result).push_back("with its activations quantized, the model would take " +
                                        sizes + ": its weights alone are quantized");
      std::ranges::move(reports, std::back_inserter(result.passes));
      return;
    }
  }
  model = serialized_size(simplified) <= before ? simplified.clone() : original.clone();
  if (!quantized) return;
  quantizer_notes(result).push_back("quantized, the model would take " + sizes +
                                    ": it stays in float (may-grow takes it nevertheless)");
}

bool quantized_weights(const ProvenResult& result) {
  return std::ranges::any_of(result.passes, [](const PassReport& report) {
    return report.result.changed && report.result.counts.contains("weights quantized");
  });
}

std::vector<std::string>& quantizer_notes(ProvenResult& result) {
  auto report = std::ranges::find_if(
      result.passes, [](const PassReport& passed) { return passed.pass.starts_with("quantize-"); });
  if (report == result.passes.end()) report = std::prev(result.passes.end());
  return report->result.notes;
}

}  // namespace dwindle::passes
