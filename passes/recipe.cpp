#include "passes/recipe.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "core/support/error.h"
#include "passes/quantize/quantize.h"
#include "passes/registry.h"

namespace dwindle::passes {
namespace {

using Json = nlohmann::ordered_json;

OptionValue option_from(const Json& json, const std::string& pass, const std::string& name) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_unsigned() && json.get<uint64_t>() > uint64_t{INT64_MAX}) {
    throw BadOption("recipe: option '" + name + "' of pass '" + pass + "' is " + json.dump() +
                    ", which no integer of 64 bits holds");
  }
  if (json.is_number_integer()) return json.get<int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array()) {
    std::vector<std::string> texts;
    for (const Json& item : json) {
      if (!item.is_string()) break;
      texts.push_back(item.get<std::string>());
    }
    if (texts.size() == json.size()) return texts;
  }
  throw BadOption("recipe: option '" + name + "' of pass '" + pass +
                  "' must be a bool, a number, a string or a list of strings, not " + json.dump());
}

// block_size, as Python has it, is block-size.
std::string option_name(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

Step step_from(const Json& json, size_t index) {
  const std::string place = "recipe: step " + std::to_string(index + 1);
  Step step;
  if (json.is_string()) {
    step.pass = json.get<std::string>();
  } else if (json.is_object()) {
    if (!json.contains("pass") || !json["pass"].is_string()) {
      throw BadOption(place + " has no \"pass\": the name of a pass");
    }
    step.pass = json["pass"].get<std::string>();
    for (const auto& [name, value] : json.items()) {
      if (name == "pass") continue;
      const OptionValue option = option_from(value, step.pass, name);
      if (!step.options.emplace(option_name(name), option).second) {
        throw BadOption(place + ": option '" + option_name(name) + "' is given twice");
      }
    }
  } else {
    throw BadOption(place + " must be the name of a pass or an object, not " + json.dump());
  }
  try {
    if (step.pass == "quantize-static") step = quantization_step(std::move(step.options));
    complete_options(find_pass(step.pass), step.options);
  } catch (const BadOption& error) {
    throw BadOption(place + ": " + error.what());
  }
  return step;
}

Json json_of(const Step& step) {
  if (step.options.empty()) return step.pass;
  Json json = {{"pass", step.pass}};
  for (const auto& [name, value] : step.options) {
    std::visit([&, &key = name](const auto& held) { json[key] = held; }, value);
  }
  return json;
}

}  // namespace

Recipe parse_recipe(std::string_view text) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::parse_error& error) {
    throw BadOption(std::string("recipe: not valid JSON: ") + error.what());
  }
  if (json.is_object()) {
    for (const auto& [name, value] : json.items()) {
      if (name != "passes") throw BadOption("recipe: unknown key '" + name + "'; it has: passes");
    }
    if (!json.contains("passes")) throw BadOption("recipe: no \"passes\"");
    json = Json(json["passes"]);
  }
  if (!json.is_array()) throw BadOption("recipe: wants a list of passes");
  Recipe recipe;
  for (size_t i = 0; i < json.size(); ++i) recipe.steps.push_back(step_from(json[i], i));
  return recipe;
}

std::string to_json(const Recipe& recipe) {
  Json passes = Json::array();
  for (const Step& step : recipe.steps) passes.push_back(json_of(step));
  return Json{{"passes", passes}}.dump(2) + "\n";
}

// First everything is brought into one form (no functions, constants as initializers, shapes
// known), then what does nothing goes, so that neighbours meet; then they are fused. Fusing makes
// new constants and leaves nodes without users, which the last group cleans up: merging what is
// equal leaves reshapes with one user, which can go, which makes new constants to merge.
Recipe simplify_recipe() {
  static constexpr const char* kSteps[] = {
      "drop-weight-inputs",
      "inline-functions",
      "lift-constants",
      "capture-loop-invariants",
      "fold-constants",
      "drop-dead-code",
      "drop-identities",
      "drop-noop-casts",
      "drop-noop-moves",
      "drop-noop-arithmetic",
      "drop-noop-transposes",
      "drop-noop-reshapes",
      "merge-common-subexpressions",
      "fuse-matmul-add",
      "fold-batch-norm",
      "fold-affine",
      "merge-pad",
      "merge-clips",
      "fold-constants",
      "merge-equal-initializers",
      "merge-common-subexpressions",
      "drop-noop-transposes",
      "drop-noop-reshapes",
      "merge-equal-initializers",
      "merge-common-subexpressions",
      "drop-dead-code",
  };
  Recipe recipe;
  for (const char* step : kSteps) recipe.steps.push_back({step, {}});
  return recipe;
}

}  // namespace dwindle::passes
