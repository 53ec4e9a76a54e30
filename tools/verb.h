// A verb of the command: one row of the table in main.cpp, one cmd_*.cpp.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace dwindle::cli {

// Exit codes of the command.
enum ExitCode : int {
  kDone = 0,
  kFailed = 1,       // the model or the data
  kUsage = 2,        // the command line
  kBoundMissed = 3,  // a quality bound was not met
};

// What a verb does once its arguments are parsed; returns an exit code or raises dwindle::Error.
using Action = std::function<int()>;

// Declares the verb's arguments and returns its action.
using Declare = Action (*)(CLI::App& app);

Action declare_inspect(CLI::App& app);
Action declare_simplify(CLI::App& app);
Action declare_quantize(CLI::App& app);
Action declare_compare(CLI::App& app);
Action declare_run(CLI::App& app);
Action declare_passes(CLI::App& app);

}  // namespace dwindle::cli
