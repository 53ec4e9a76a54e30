#include "tests/support/expect_pass.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "core/ir/print.h"
#include "core/ir/verify.h"
#include "core/ops/infer.h"
#include "core/runtime/same_outputs.h"
#include "passes/registry.h"

namespace dwindle::testing {
namespace {

// `%w = float32[2] [1, 2]`: brackets before any parenthesis.
bool is_constant_line(const std::string& line) {
  const size_t equals = line.find(" = ");
  if (equals == std::string::npos) return false;
  const size_t bracket = line.find('[', equals), parenthesis = line.find('(', equals);
  return bracket < parenthesis;
}

Model inferred(const Model& model) {
  Model copy = model.clone();
  infer_shapes(copy);
  return copy;
}

}  // namespace

std::string canonical_text(const Model& model) {
  std::istringstream lines(to_text(model));
  std::string text, line;
  std::vector<std::string> constants;
  auto flush = [&] {
    std::sort(constants.begin(), constants.end());
    for (const std::string& constant : constants) text += constant + "\n";
    constants.clear();
  };
  while (std::getline(lines, line)) {
    if (is_constant_line(line)) {
      constants.push_back(line);
    } else {
      flush();
      text += line + "\n";
    }
  }
  flush();
  return text;
}

std::string ops_of(const Graph& graph) {
  std::string ops;
  for (const Node* node : graph.nodes()) ops += (ops.empty() ? "" : " ") + node->op_type;
  return ops;
}

Model run_checked(const Model& before, const std::string& name, const PassOptions& options) {
  SCOPED_TRACE("pass " + name);
  Model model = inferred(before);
  const std::string text_before = canonical_text(model);
  passes::PassContext context;
  const auto pass = passes::make_pass(name, options);
  const bool changed = pass->run(model, context).changed;
  EXPECT_EQ(changed, canonical_text(model) != text_before) << canonical_text(model);
  for (const std::string& fault : find_faults(model)) ADD_FAILURE() << fault;
  const SameOutputs same = same_outputs(before, model);
  EXPECT_TRUE(same.same) << same.summary();
  Model again = model.clone();
  EXPECT_FALSE(pass->run(again, context).changed) << "a second run makes\n" << to_text(again);
  return model;
}

void expect_pass(const Model& before, const std::string& name, const Model& after,
                 const PassOptions& options) {
  const Model model = run_checked(before, name, options);
  EXPECT_EQ(canonical_text(model), canonical_text(inferred(after))) << "pass " << name;
}

void expect_untouched(const Model& model, const std::string& name, const PassOptions& options) {
  expect_pass(model, name, model, options);
}

}  // namespace dwindle::testing
