// The flags that say where data is and how it is fed, shared by the verbs that take any.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "core/data/open_dataset.h"

namespace dwindle::cli {

struct DataFlags {
  std::string path;  // empty: not given
  DatasetOptions options;
};

// `name` is "--calib" or "--data". `flags` must stay where it is until the arguments are parsed.
void add_data_flags(CLI::App& app, DataFlags& flags, const std::string& name, bool required);

// The data that the flags name, ready for `model`.
std::unique_ptr<Dataset> open(const DataFlags& flags, const Model& model);

// Arguments with `--mean 1 2 3` written as `--mean=1,2,3`, so that lists of numbers, negative ones
// too, do not run into the arguments behind them.
std::vector<std::string> join_numbers(const std::vector<std::string>& arguments);

}  // namespace dwindle::cli
