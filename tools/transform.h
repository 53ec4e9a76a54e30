// What the verbs that write a changed model have in common.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "core/ir/model.h"
#include "passes/pipeline.h"
#include "passes/quantize/quality.h"

namespace dwindle::cli {

// The arguments IN and OUT, and --external-data.
struct Paths {
  std::string input, output;
  std::string external_data = "auto";
};
void add_paths(CLI::App& app, Paths& paths);

// One model on its way from IN to OUT.
class Transform {
 public:
  // Loads and verifies IN and makes sure that OUT can be written.
  explicit Transform(const Paths& paths);

  const Model& original() const { return original_; }
  Model& model() { return model_; }

  // Runs both models on random inputs and returns what was found, one line. With `must_match`,
  // raises Error where outputs differ. Raises Unsupported, pointing to --no-check, where an op
  // cannot be run.
  std::string check(bool must_match) const;

  // Writes OUT, then prints what changed.
  void finish(const std::vector<passes::PassReport>& reports) const;

 private:
  Paths paths_;
  Model original_, model_;
  uint64_t bytes_before_;
};

void print_quality(const passes::Quality& quality);

}  // namespace dwindle::cli
