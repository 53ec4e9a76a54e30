// Pass: one change of a Model with a name, typed options and a result.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/ir/model.h"
#include "core/runtime/executor.h"
#include "core/support/progress.h"

namespace dwindle {
class Dataset;
}

namespace dwindle::passes {

using OptionValue = std::variant<bool, int64_t, double, std::string, std::vector<std::string>>;

// The numbers that an option takes; infinite ends are open. NaN and infinities never are.
struct NumberRange {
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
  bool above_least = false;  // `least` itself is not among them
};

// One option of a pass: where the CLI flag, the Python argument and the reference page come from.
struct OptionSpec {
  std::string name;       // kebab-case
  OptionValue otherwise;  // the default; its alternative is the option's type
  std::string help;
  std::vector<std::string> choices;  // where not empty: the only valid strings
  NumberRange range = {};            // of an integer or a number
};

// Options of one pass by name, complete (defaults filled in) and checked against their specs.
class Options {
 public:
  Options() = default;
  explicit Options(std::map<std::string, OptionValue> values, std::set<std::string> given = {})
      : values_(std::move(values)), given_(std::move(given)) {}

  template <typename T>
  const T& get(const std::string& name) const {
    return std::get<T>(values_.at(name));
  }
  const std::map<std::string, OptionValue>& values() const { return values_; }
  // Whether the value was given, not filled in.
  bool given(const std::string& name) const { return given_.contains(name); }

 private:
  std::map<std::string, OptionValue> values_;
  std::set<std::string> given_;
};

// What surrounds a run of passes.
struct PassContext {
  Dataset* calibration = nullptr;  // for passes that need data
  Progress* progress = nullptr;    // may be null
  // The model before the first pass of the recipe, whose names people know; may be null.
  const Model* original = nullptr;
  // A folder for temporary data; empty: see Spill.
  std::filesystem::path scratch = {};
  MakeExecutor executors = make_float_executor;  // what runs the data
};

struct PassResult {
  bool changed = false;                   // whether the model is not the same as before
  std::map<std::string, int64_t> counts;  // what was done how often
  std::vector<std::string> notes;         // what a person should know, one line each
};

class Pass {
 public:
  virtual ~Pass() = default;
  virtual PassResult run(Model& model, PassContext& context) = 0;
};

using PassFactory = std::unique_ptr<Pass> (*)(const Options& options);

// One row of the registry.
struct PassRow {
  std::string_view name;     // kebab-case, verb-object
  std::string_view summary;  // one line
  std::vector<OptionSpec> options;
  PassFactory make;
  bool needs_calibration = false;
};

}  // namespace dwindle::passes
