// The registry as text: for `dwindle passes`, dwindle.passes() and the reference page.
#pragma once

#include <string>

#include "passes/pass.h"

namespace dwindle::passes {

// A list of {"name", "summary", "needs_calibration", "options": [{"name", "type", "default",
// "help", "choices", "range"}]}; "choices" and "range" (a text) only where there are any; "type" is
// bool, int, float, str or list.
std::string registry_json();

// The reference page docs/passes.md.
std::string registry_markdown();

// "0.5", "minmax", "true"; a list with commas.
std::string to_text(const OptionValue& value);

// "0 or more", "between 7 and 28", "above 0 and at most 1"; "" where both ends are open.
std::string to_text(const NumberRange& range);

}  // namespace dwindle::passes
