#include "core/runtime/compare.h"

#include <gtest/gtest.h>

namespace dwindle::testing {
namespace {

using Classes = std::vector<int64_t>;

Tensor of(Dims dims, std::vector<float> values) {
  return Tensor::of(std::move(dims), std::span<const float>(values));
}

TEST(TopClasses, LieAlongTheOnlyLongAxis) {
  const std::vector<float> values = {1, 5, 2, 7, 0, 7};  // of equals the first
  for (const Dims& dims : {Dims{2, 3}, Dims{2, 3, 1, 1}, Dims{2, 1, 1, 3}, Dims{2, 1, 3}}) {
    EXPECT_EQ(top_classes(of(dims, values)), (Classes{1, 0})) << to_string(dims);
  }
  for (const Dims& dims :
       {Dims{6}, Dims{6, 1}, Dims{1, 2, 3}, Dims{1, 3, 2, 1}, Dims{1, 1, 2, 3}}) {
    EXPECT_EQ(top_classes(of(dims, values)), Classes{}) << to_string(dims);
  }
  EXPECT_EQ(top_classes(Tensor::of<int64_t>({1, 3}, {1, 2, 3})), Classes{});
  EXPECT_EQ(top_classes(of({0, 3}, {})), Classes{});
}

ValueType type(std::optional<Shape> shape, DType dtype = DType::kFloat) {
  ValueType type;
  type.dtype = dtype;
  type.shape = std::move(shape);
  return type;
}

TEST(TopClasses, MayBeThereUnlessTheTypeSaysNo) {
  const Dim n = Dim::named("N"), open;
  EXPECT_TRUE(may_have_classes(type(Shape{n, 10})));
  EXPECT_TRUE(may_have_classes(type(Shape{n, 10, 1, 1})));
  EXPECT_TRUE(may_have_classes(type(Shape{n, 10, open, open})));
  EXPECT_TRUE(may_have_classes(type(Shape{n, open})));
  EXPECT_TRUE(may_have_classes(type(std::nullopt)));
  EXPECT_FALSE(may_have_classes(type(Shape{n, 10, 7, 7})));
  EXPECT_FALSE(may_have_classes(type(Shape{n, 7, 7, 10})));
  EXPECT_FALSE(may_have_classes(type(Shape{n, 1})));
  EXPECT_FALSE(may_have_classes(type(Shape{n})));
  EXPECT_FALSE(may_have_classes(type(Shape{n, 10}, DType::kInt64)));
}

// Only what a dataset has put together is taken apart again.
TEST(SplitSamples, TakesApartWhatIsDivisible) {
  Feed feed{{{"x", of({3, 2}, {1, 2, 3, 4, 5, 6})}}, Tensor::of<int64_t>({2}, {7, 8}), 2};
  EXPECT_EQ(split_samples(feed).size(), 1u);
  feed.divisible = true;
  const std::vector<Feed> samples = split_samples(feed);
  ASSERT_EQ(samples.size(), 2u);  // the third fills the batch up
  EXPECT_TRUE(samples[1].inputs.at("x").identical(of({1, 2}, {3, 4})));
  EXPECT_TRUE(samples[1].labels->identical(Tensor::of<int64_t>({1}, {8})));
}

TEST(SplitSamples, KeepsAsManyTogetherAsWanted) {
  Feed feed{{{"x", of({5, 1}, {1, 2, 3, 4, 5})}}, Tensor::of<int64_t>({5}, {5, 6, 7, 8, 9}), 5};
  feed.divisible = true;
  const std::vector<Feed> parts = split_samples(feed, 2);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_TRUE(parts[1].inputs.at("x").identical(of({2, 1}, {3, 4})));
  EXPECT_TRUE(parts[1].labels->identical(Tensor::of<int64_t>({2}, {7, 8})));
  EXPECT_EQ(parts[1].samples, 2);
  EXPECT_TRUE(parts[2].inputs.at("x").identical(of({1, 1}, {5})));
  EXPECT_EQ(split_samples(feed, 5).size(), 1u);
}

TEST(SplitSamples, BatchesOfNothingHoldNoSamples) {
  Feed feed{{{"x", of({0, 1}, {})}}, {}, 0};
  feed.divisible = true;
  EXPECT_EQ(batch_of(feed), 0);
  EXPECT_EQ(split_samples(feed).size(), 1u);
}

}  // namespace
}  // namespace dwindle::testing
