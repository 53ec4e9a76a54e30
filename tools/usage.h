// What is wrong with a command line, in words that lead to the right one.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace dwindle::cli {

// The message for what parsing raised: an unknown verb or flag is named with its nearest names,
// whatever else the parser missed for want of it.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error);

}  // namespace dwindle::cli
