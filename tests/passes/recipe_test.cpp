#include "passes/recipe.h"

#include <gtest/gtest.h>

#include "core/support/error.h"

namespace dwindle::passes {
namespace {

std::string failure(std::string_view json) {
  try {
    parse_recipe(json);
  } catch (const BadOption& error) {
    return error.what();
  }
  return "no error";
}

TEST(Recipe, ReadsNamesAndObjects) {
  const Recipe recipe =
      parse_recipe(R"({"passes": ["merge-pad", {"pass": "fold-constants", "size-cap": 7}]})");
  ASSERT_EQ(recipe.steps.size(), 2u);
  EXPECT_EQ(recipe.steps[0].pass, "merge-pad");
  EXPECT_EQ(recipe.steps[1].options.at("size-cap"), OptionValue(int64_t{7}));
  EXPECT_EQ(to_json(parse_recipe(to_json(recipe))), to_json(recipe));
  EXPECT_EQ(parse_recipe(R"(["merge-pad"])").steps.size(), 1u);
}

TEST(Recipe, TakesBothSpellingsOfOptions) {
  const Recipe recipe = parse_recipe(R"([{"pass": "fold-constants", "size_cap": 7}])");
  EXPECT_EQ(recipe.steps[0].options.at("size-cap"), OptionValue(int64_t{7}));
  EXPECT_EQ(recipe.steps[0].options.size(), 1u);
  EXPECT_EQ(failure(R"([{"pass": "fold-constants", "size_cap": 7, "size-cap": 8}])"),
            "recipe: step 1: option 'size-cap' is given twice");
}

TEST(Recipe, SaysWhatIsWrongAndWhere) {
  EXPECT_NE(failure("[\"merge-pad\",").find("line 1, column"), std::string::npos);
  EXPECT_EQ(failure(R"(["merge-pad", "merge-pat"])"),
            "recipe: step 2: there is no pass 'merge-pat'; did you mean 'merge-pad'? (dwindle "
            "passes lists all; in Python: dwindle.passes())");
  EXPECT_EQ(failure(R"({"steps": []})"), "recipe: unknown key 'steps'; it has: passes");
  EXPECT_EQ(failure(R"([{"size-cap": 1}])"), "recipe: step 1 has no \"pass\": the name of a pass");
  EXPECT_EQ(failure(R"([{"pass": "fold-constants", "size-cap": "big"}])"),
            "recipe: step 1: option 'size-cap' of pass 'fold-constants' wants an integer, got a "
            "string");
  EXPECT_NE(failure(R"([{"pass": "fold-constants", "size-cap": null}])"), "no error");
  EXPECT_EQ(failure(R"([{"pass": "fold-constants", "size-cap": -5}])"),
            "recipe: step 1: option 'size-cap' of pass 'fold-constants' cannot be -5; it is 0 or "
            "more");
  // No wrapping round to a negative number, nor to a small one.
  EXPECT_NE(failure(R"([{"pass": "fold-constants", "size-cap": 18446744073709551615}])")
                .find("is 18446744073709551615, which no integer of 64 bits holds"),
            std::string::npos);
  EXPECT_NE(failure("3"), "no error");
}

TEST(Recipe, OfSimplifyIsValid) {
  const Recipe recipe = simplify_recipe();
  EXPECT_EQ(parse_recipe(to_json(recipe)).steps.size(), recipe.steps.size());
}

}  // namespace
}  // namespace dwindle::passes
