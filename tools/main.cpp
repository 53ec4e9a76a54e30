// The command `dwindle`: a table of verbs.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <new>
#include <system_error>

#include "core/support/error.h"
#include "core/support/threads.h"
#include "tools/data_flags.h"
#include "tools/interrupt.h"
#include "tools/usage.h"
#include "tools/verb.h"

namespace dwindle::cli {
namespace {

struct VerbRow {
  const char* name;
  const char* summary;
  Declare declare;
};

constexpr VerbRow kVerbs[] = {
    {"inspect", "Show what a model holds: inputs, ops, weights, size", declare_inspect},
    {"simplify", "Make a model smaller without changing what it computes", declare_simplify},
    {"quantize", "Quantize a model to int8 with calibration data", declare_quantize},
    {"compare", "Run models beside each other: size, accuracy, closeness, latency",
     declare_compare},
    {"run", "Run a recipe: passes with options, as JSON", declare_run},
    {"passes", "List all passes with their options", declare_passes},
};

// Never raises: standard error may be full or closed, too.
int complain(const std::string& what, int code) {
  std::fputs(fmt::format("dwindle: error: {}\n", what).c_str(), stderr);
  return code;
}

int complain_of_output(int error) {
  return complain(fmt::format("standard output could not be written: {}",
                              std::generic_category().message(error)),
                  kFailed);
}

int parse(CLI::App& app, std::vector<std::string> arguments) {
  std::vector<Action> actions;
  app.add_option_function<int>(
         "--threads", [](int count) { set_num_threads(count); },
         "Threads to use (before the verb); all cores by default. Results do not depend on it")
      ->check(CLI::Range(1, 1024));
  for (const VerbRow& verb : kVerbs) {
    actions.push_back(verb.declare(*app.add_subcommand(verb.name, verb.summary)));
  }
  try {
    arguments = join_numbers(arguments);
    std::ranges::reverse(arguments);  // CLI11 wants them last first
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return complain(usage_message(app, error), kUsage);
  }
  for (size_t i = 0; i < std::size(kVerbs); ++i) {
    if (app.got_subcommand(kVerbs[i].name)) return actions[i]();
  }
  fmt::print("{}", app.help());
  return kUsage;
}

int run(int argc, char** argv) {
  CLI::App app("Makes trained ONNX models small and fast, and proves that they still work.",
               "dwindle");
  app.set_version_flag("--version", "dwindle " DWINDLE_VERSION);
  app.require_subcommand(0, 1);
  app.get_formatter()->column_width(34);
  watch_signals();
  try {
    const int code = parse(app, {argv + 1, argv + argc});
    // A full disk or a closed pipe may show only now; std::cout, which has --help, raises nothing.
    errno = 0;
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      return complain_of_output(errno != 0 ? errno : EIO);
    }
    return code;
  } catch (const BadOption& error) {
    return complain(error.what(), kUsage);
  } catch (const BoundMissed& error) {
    return complain(error.what(), kBoundMissed);
  } catch (const Interrupted& error) {
    return complain(error.what(), 128 + noted_signal());
  } catch (const Error& error) {
    return complain(error.what(), kFailed);
  } catch (const std::bad_alloc&) {
    return complain("out of memory", kFailed);
  } catch (const std::system_error& error) {
    // What fmt::print raises.
    if (std::ferror(stdout) != 0) return complain_of_output(error.code().value());
    return complain(error.what(), kFailed);
  } catch (const std::exception& error) {
    return complain(fmt::format("{} (this is a defect of dwindle)", error.what()), kFailed);
  }
}

}  // namespace
}  // namespace dwindle::cli

int main(int argc, char** argv) { return dwindle::cli::run(argc, argv); }
