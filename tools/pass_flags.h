// Command-line flags made from a row of the pass registry.
#pragma once

#include <CLI/CLI.hpp>
#include <deque>
#include <map>
#include <string>

#include "passes/pass.h"

namespace dwindle::cli {

// One flag an option: a bool is `--name` (`--no-name` where it is true by default), a list is given
// by repeating the flag.
class PassFlags {
 public:
  void add(CLI::App& app, const passes::PassRow& row);

  // The options that were given; call it after the arguments are parsed.
  std::map<std::string, passes::OptionValue> given() const;

 private:
  struct Flag {
    std::string name;
    CLI::Option* option = nullptr;
    passes::OptionValue value;
  };
  std::deque<Flag> flags_;  // stay where they are: the parser writes into them
};

}  // namespace dwindle::cli
