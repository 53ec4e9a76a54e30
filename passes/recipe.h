// Recipe: an ordered list of passes with options, as data.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "passes/pass.h"

namespace dwindle::passes {

struct Step {
  std::string pass;
  std::map<std::string, OptionValue> options;
  // Whether nobody asked for it: a verb has it in case it is needed, and where it changes nothing,
  // there is nothing to note.
  bool implied = false;
};

struct Recipe {
  std::vector<Step> steps;
};

// JSON: {"passes": ["fold-constants", {"pass": "quantize-static", "per-tensor": true}]}, or the
// bare list. An "_" in the name of an option stands for "-". Raises BadOption with the place of a
// syntax error, or for unknown passes and options.
Recipe parse_recipe(std::string_view json);
std::string to_json(const Recipe& recipe);

// The passes of `dwindle simplify`, in order.
Recipe simplify_recipe();

}  // namespace dwindle::passes
