// The registry: every pass that there is, as one explicit array.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "passes/pass.h"

namespace dwindle::passes {

std::span<const PassRow> registry();

// The row of that name. Raises BadOption that names the nearest where there is none.
const PassRow& find_pass(std::string_view name);

bool has_option(const PassRow& row, std::string_view name);

// Fills in defaults and checks names, types, choices and ranges (an integer is accepted where a
// float is wanted, 0 and 1 for a bool, a string for a list of one). Raises BadOption that lists the
// valid options and the nearest.
Options complete_options(const PassRow& row, const std::map<std::string, OptionValue>& given);

std::unique_ptr<Pass> make_pass(std::string_view name,
                                const std::map<std::string, OptionValue>& given = {});

}  // namespace dwindle::passes
