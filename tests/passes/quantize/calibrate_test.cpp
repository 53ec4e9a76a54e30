#include "passes/quantize/calibrate.h"

#include <gtest/gtest.h>

#include <numeric>

#include "core/data/open_dataset.h"
#include "core/ops/infer.h"
#include "core/support/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/graph_builder.h"
#include "tests/support/random_weights.h"

namespace dwindle::passes {
namespace {

using testing::GraphBuilder;
using testing::random_weights;

// x → Conv a → Log l → Conv y.
Model logarithm(int64_t batch) {
  Model model = testing::make_model([&](GraphBuilder& b) {
    Value* x = b.input("x", {batch, 1, 2, 2});
    Value* a = b.node("a", "Conv", {x, b.floats("v", {1, 1, 1, 1}, {1})});
    a->producer()->name = "first";
    Value* l = b.node("l", "Log", {a});
    l->producer()->name = "logarithm";
    b.output(b.node("y", "Conv", {l, b.floats("w", {1, 1, 1, 1}, {1})}));
  });
  infer_shapes(model);
  return model;
}

Statistics calibrate(const Model& model, std::vector<std::vector<float>> values) {
  std::vector<Feed> feeds;
  for (std::vector<float>& feed : values) {
    feeds.push_back({{{"x", Tensor::of<float>({1, 1, 2, 2}, feed)}}, {}});
  }
  const auto data = dataset_from_feeds(std::move(feeds));
  const ObserverOptions options{.method = CalibrationMethod::kMinMax};
  return calibrate(model, place_quantization(model, {}), *data, options, true, nullptr);
}

TEST(Calibrate, ranges_and_means_are_those_of_the_data) {
  const Model model = logarithm(1);
  const Statistics statistics = calibrate(model, {{1, 2, 3, 4}, {5, 6, 7, 8}});
  EXPECT_EQ(statistics.samples, 2);
  EXPECT_EQ(statistics.some_samples.size(), 2u);
  const Range range = statistics.observers.at(model.graph->find("x"))->range();
  EXPECT_EQ(range.low, 0);  // every range holds it
  EXPECT_EQ(range.high, 8);
  EXPECT_EQ(statistics.means.at(model.graph->find("x")).means(), std::vector<double>{4.5});
  EXPECT_TRUE(statistics.unusable.empty());
}

TEST(Calibrate, values_that_are_not_finite_are_of_no_use_and_no_error) {
  const Model model = logarithm(1);
  const Value* value = model.graph->find("l");
  for (float zero_or_less : {0.0f, -3.0f}) {
    const Statistics statistics =
        calibrate(model, {{1, 2, 3, 4}, {zero_or_less, 2, 3, 4}, {1, 1, 1, 1}});
    EXPECT_EQ(statistics.samples, 3);
    EXPECT_FALSE(statistics.unusable.contains(model.graph->find("a")));
    EXPECT_TRUE(statistics.unusable.contains(model.graph->find("y")));
    ASSERT_TRUE(statistics.unusable.contains(value));
    EXPECT_EQ(statistics.unusable.at(value),
              std::string(zero_or_less == 0 ? "holds infinities" : "holds NaN") +
                  ": 'l' (of Log node 'logarithm'), sample 1");
    // A mean that is not finite is none.
    EXPECT_TRUE(statistics.means.at(value).means().empty());
  }
}

TEST(Calibrate, bad_data_is_an_error) {
  const Model model = logarithm(1);
  EXPECT_THROW(calibrate(model, {}), BadData);
  for (float bad : {NAN, INFINITY}) {
    testing::expect_error<BadData>("input 'x', sample 2, position [0,1,0]", [&] {
      calibrate(model, {{1, 2, 3, 4}, {1, 2, 3, 4}, {1, 2, bad, 4}});
    });
  }
}

TEST(SpreadSamples, come_from_all_of_the_data_however_it_is_split) {
  const std::vector<std::vector<float>> wanted = {
      {},           {0},          {0, 1},    {0, 1, 2}, {0, 1, 2, 3}, {0, 2, 4}, {0, 2, 4},
      {0, 2, 4, 6}, {0, 2, 4, 6}, {0, 4, 8}, {0, 4, 8}, {0, 4, 8},    {0, 4, 8}, {0, 4, 8, 12}};
  for (int64_t count = 0; count < std::ssize(wanted); ++count) {
    for (int64_t batch : {1, 3, 20}) {
      SpreadSamples some;
      for (int64_t begin = 0; begin < count; begin += batch) {
        const int64_t samples = std::min(batch, count - begin);
        std::vector<float> numbers(static_cast<size_t>(samples));
        std::iota(numbers.begin(), numbers.end(), static_cast<float>(begin));
        Feed feed{{{"x", Tensor::of<float>({samples, 1}, numbers)}}, {}, samples};
        feed.divisible = samples > 1;
        some.take(feed);
      }
      std::vector<float> kept;
      for (const Feed& feed : some.take_all()) kept.push_back(to_floats(feed.inputs.at("x"))[0]);
      EXPECT_EQ(kept, wanted[static_cast<size_t>(count)]) << count << " in batches of " << batch;
    }
  }
}

TEST(ChannelMeans, do_not_depend_on_the_split_into_batches) {
  for (int axis : {1, -1, 0}) {
    const Tensor whole = random_weights({6, 5, 9, 7}, 3);
    ChannelMeans at_once(axis), one_by_one(axis);
    at_once.add(whole);
    if (axis != 0) {
      for (int64_t sample = 0; sample < 6; ++sample) {
        one_by_one.add(Tensor::borrow(DType::kFloat, {1, 5, 9, 7},
                                      whole.data<float>() + sample * 5 * 9 * 7, whole.owner()));
      }
      EXPECT_EQ(at_once.means(), one_by_one.means()) << axis;
    }
    const size_t channels = axis == 0 ? 6 : axis == 1 ? 5 : 7;
    std::vector<double> wanted(channels);
    for (int64_t i = 0; i < whole.size(); ++i) {
      const int64_t channel = axis == 0 ? i / 315 : axis == 1 ? i / 63 % 5 : i % 7;
      wanted[static_cast<size_t>(channel)] += static_cast<double>(whole.data<float>()[i]);
    }
    const std::vector<double> means = at_once.means();
    ASSERT_EQ(means.size(), channels);
    for (size_t c = 0; c < channels; ++c) {
      EXPECT_NEAR(means[c], wanted[c] * static_cast<double>(channels) / whole.size(), 1e-6);
    }
  }
}

TEST(ChannelMeans, of_an_extent_that_changes_are_none) {
  ChannelMeans means(1);
  EXPECT_TRUE(means.means().empty());
  means.add(random_weights({2, 3}, 1));
  EXPECT_EQ(means.means().size(), 3u);
  means.add(random_weights({2, 4}, 1));
  EXPECT_TRUE(means.means().empty());
  ChannelMeans too_far(2);
  too_far.add(random_weights({2, 3}, 1));
  EXPECT_TRUE(too_far.means().empty());
}

}  // namespace
}  // namespace dwindle::passes
