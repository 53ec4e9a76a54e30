#include "core/runtime/first_non_finite.h"

#include <gtest/gtest.h>

#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

// y = -Sqrt(x * 1e30): an infinity for large x, NaN for negative x.
std::string first_of(const std::vector<float>& values) {
  const Model model = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {2});
    Value* k = b.floats("k", {1}, {1e30f});
    Value* root = b.node("root", "Sqrt", {b.node("large", "Mul", {x, k})});
    b.output(b.node("y", "Neg", {root}));
  });
  Feed feed;
  feed.inputs.emplace("x", Tensor::of<float>({2}, values));
  return first_non_finite(model, {feed});
}

TEST(FirstNonFinite, NamesTheNodeAndItsValue) {
  EXPECT_EQ(first_of({1, 2}), "");
  EXPECT_NE(first_of({1, -1}).find("makes NaN first, in 'root'"), std::string::npos);
  EXPECT_NE(first_of({1, 1e10f}).find("makes an infinity first, in 'large'"), std::string::npos);
}

TEST(FirstNonFinite, NaNComesBeforeAnEarlierInfinity) {
  EXPECT_NE(first_of({-1, 1e10f}).find("makes NaN first, in 'root'"), std::string::npos);
}

}  // namespace
}  // namespace dwindle::testing
