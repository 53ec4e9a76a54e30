#include "passes/registry.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "core/support/error.h"

namespace dwindle::passes {
namespace {

std::string message(const std::function<void()>& call) {
  try {
    call();
  } catch (const BadOption& error) {
    return error.what();
  }
  return "no error";
}

TEST(Registry, NamesAreUniqueAndRowsComplete) {
  std::set<std::string_view> names;
  for (const PassRow& row : registry()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_FALSE(row.summary.empty()) << row.name;
    EXPECT_NE(make_pass(row.name), nullptr) << row.name;
    for (const OptionSpec& option : row.options) EXPECT_FALSE(option.help.empty()) << option.name;
  }
}

TEST(Registry, NamesTheNearestPass) {
  EXPECT_EQ(
      message([] { find_pass("fold-constant"); }),
      "there is no pass 'fold-constant'; did you mean 'fold-constants'? (dwindle passes lists "
      "all; in Python: dwindle.passes())");
  EXPECT_EQ(message([] { find_pass("batch-norm"); }),
            "there is no pass 'batch-norm'; did you mean 'fold-batch-norm'? (dwindle passes lists "
            "all; in Python: dwindle.passes())");
  EXPECT_EQ(message([] { find_pass("quux"); }),
            "there is no pass 'quux' (dwindle passes lists all; in Python: dwindle.passes())");
}

TEST(Options, NameTheNearestAndTheValidOnes) {
  EXPECT_EQ(message([] {
              make_pass("fold-constants", {{"size-cup", int64_t{1}}});
            }),
            "pass 'fold-constants' has no option 'size-cup'; did you mean 'size-cap'? (it has: "
            "size-cap)");
  EXPECT_EQ(message([] {
              make_pass("merge-pad", {{"x", true}});
            }),
            "pass 'merge-pad' has no option 'x' (it has none)");
}

TEST(Options, CheckTypesAndFillInDefaults) {
  const PassRow row = {
      "p", "", {{"ratio", 0.5, "", {}}, {"mode", std::string("a"), "", {"a", "b"}}}, nullptr};
  const Options options = complete_options(row, {{"ratio", int64_t{2}}});
  EXPECT_EQ(options.get<double>("ratio"), 2.0);
  EXPECT_EQ(options.get<std::string>("mode"), "a");
  EXPECT_EQ(message([&] {
              complete_options(row, {{"ratio", true}});
            }),
            "option 'ratio' of pass 'p' wants a number, got true or false");
  EXPECT_EQ(message([&] {
              complete_options(row, {{"mode", std::string("c")}});
            }),
            "option 'mode' of pass 'p' cannot be 'c'; did you mean 'a'? (it is one of: a, b)");
}

TEST(Options, TakeWhatCanOnlyMeanOneThing) {
  const PassRow& row = find_pass("quantize-static");
  const Options options =
      complete_options(row, {{"per-tensor", int64_t{1}}, {"exclude", std::string("conv*")}});
  EXPECT_TRUE(options.get<bool>("per-tensor"));
  EXPECT_EQ(options.get<std::vector<std::string>>("exclude"), std::vector<std::string>{"conv*"});
  EXPECT_TRUE(options.given("exclude"));
  EXPECT_FALSE(options.given("percentile"));
  EXPECT_THROW(complete_options(row, {{"per-tensor", int64_t{2}}}), BadOption);
  EXPECT_THROW(complete_options(row, {{"per-tensor", 1.0}}), BadOption);
}

}  // namespace
}  // namespace dwindle::passes
