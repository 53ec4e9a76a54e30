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
            "size-cap, growth-cap)");
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

TEST(Options, RefuseNumbersOutOfRange) {
  EXPECT_EQ(message([] {
              make_pass("fold-constants", {{"size-cap", int64_t{-1}}});
            }),
            "option 'size-cap' of pass 'fold-constants' cannot be -1; it is 0 or more");
  const PassRow row = {"p",
                       "",
                       {{"share", 0.5, "", {}, {.least = 0, .most = 1, .above_least = true}},
                        {"level", int64_t{3}, "", {}, {.least = 2, .most = 4}},
                        {"free", 0.0, "", {}}},
                       nullptr};
  for (double good : {1e-9, 1.0}) EXPECT_NO_THROW(complete_options(row, {{"share", good}}));
  for (double bad : {0.0, -0.5, 1.0001}) {
    EXPECT_THROW(complete_options(row, {{"share", bad}}), BadOption) << bad;
  }
  EXPECT_EQ(message([&] {
              complete_options(row, {{"share", int64_t{0}}});
            }),
            "option 'share' of pass 'p' cannot be 0; it is above 0 and at most 1");
  for (int64_t level = -1; level < 7; ++level) {
    const bool fits = level >= 2 && level <= 4;
    EXPECT_EQ(message([&] {
                complete_options(row, {{"level", level}});
              }) == "no error",
              fits)
        << level;
  }
  EXPECT_NO_THROW(complete_options(row, {{"free", -1e300}}));
}

TEST(Options, OfAllPassesHaveSensibleRanges) {
  int numbers = 0;
  for (const PassRow& row : registry()) {
    for (const OptionSpec& spec : row.options) {
      const bool real = std::holds_alternative<double>(spec.otherwise);
      if (!real && !std::holds_alternative<int64_t>(spec.otherwise)) continue;
      ++numbers;
      // The default is one of them.
      EXPECT_NO_THROW(complete_options(row, {{spec.name, spec.otherwise}})) << spec.name;
      if (!real) {
        EXPECT_THROW(complete_options(row, {{spec.name, int64_t{-1}}}), BadOption) << spec.name;
        EXPECT_THROW(complete_options(row, {{spec.name, INT64_MIN}}), BadOption) << spec.name;
        continue;
      }
      for (double none : {double{NAN}, HUGE_VAL, -HUGE_VAL}) {
        EXPECT_THROW(complete_options(row, {{spec.name, none}}), BadOption) << spec.name;
      }
    }
  }
  EXPECT_GE(numbers, 6);
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
