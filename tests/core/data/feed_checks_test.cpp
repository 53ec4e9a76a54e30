#include "core/data/feed_checks.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/support/error.h"

namespace dwindle {
namespace {

std::string complaint(const Feed& feed, int64_t first_sample) {
  try {
    check_finite(feed, first_sample);
  } catch (const BadData& error) {
    return error.what();
  }
  return "";
}

TEST(FeedChecks, NamesInputSampleAndPosition) {
  std::vector<float> values(24, 1.0f);
  Feed feed;
  feed.samples = 4;
  feed.inputs["x"] = Tensor::of<float>({4, 2, 3}, values);
  EXPECT_EQ(complaint(feed, 8), "");
  values[2 * 6 + 4] = NAN;
  feed.inputs["x"] = Tensor::of<float>({4, 2, 3}, values);
  EXPECT_NE(complaint(feed, 8).find("input 'x', sample 10, position [1,1] is NaN"),
            std::string::npos)
      << complaint(feed, 8);
  feed.samples = 1;  // the feed as a whole is one sample
  EXPECT_NE(complaint(feed, 8).find("sample 8, position [2,1,1]"), std::string::npos);
}

TEST(FeedChecks, NamesTheFileAndCountsItsSamples) {
  Feed feed;
  feed.samples = 2;
  feed.source = "folder/some.npz";
  feed.first_sample = 4;
  feed.inputs["x"] = Tensor::of<float>({2, 2}, std::vector<float>{1, 1, 1, NAN});
  EXPECT_NE(complaint(feed, 100).find("input 'x' of folder/some.npz, sample 5, position [1] is"),
            std::string::npos)
      << complaint(feed, 100);
}

TEST(FeedChecks, SeesAllFloatingTypes) {
  Feed feed;
  feed.inputs["x"] = Tensor::scalar<double>(-HUGE_VAL);
  EXPECT_NE(complaint(feed, 0).find("-infinity"), std::string::npos);
  feed.inputs["x"] = Tensor::scalar<Float16>(to_float16(HUGE_VALF));
  EXPECT_NE(complaint(feed, 0).find("infinity"), std::string::npos);
  feed.inputs["x"] = Tensor::scalar<Bfloat16>(to_bfloat16(NAN));
  EXPECT_NE(complaint(feed, 0).find("NaN"), std::string::npos);
  feed.inputs["x"] = Tensor::scalar<int64_t>(-1);
  EXPECT_EQ(complaint(feed, 0), "");
}

}  // namespace
}  // namespace dwindle
