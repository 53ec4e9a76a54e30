#include "passes/quantize/calib_cache.h"

#include <gtest/gtest.h>

#include <utility>

#include "core/data/open_dataset.h"
#include "core/ops/infer.h"
#include "core/support/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/graph_builder.h"
#include "tests/support/random_weights.h"
#include "tests/support/temp_folder.h"

namespace dwindle::passes {
namespace {

using testing::GraphBuilder;
using testing::random_weights;

Model layers(float first = 0) {
  Model model = testing::make_model([&](GraphBuilder& b) {
    Value* x = b.input("x", {4, 6});
    Value* a = b.node("a", "MatMul", {x, b.ramp("v", {6, 6}, first)});
    Value* l = b.node("l", "Log", {a});  // -infinity where a is 0
    b.output(b.node("y", "MatMul", {a, b.ramp("w", {6, 2})}));
    b.output(b.node("z", "MatMul", {l, b.ramp("u", {6, 2})}));
  });
  infer_shapes(model);
  return model;
}

std::unique_ptr<Dataset> feeds(unsigned seed = 1) {
  std::vector<Feed> all;
  for (unsigned i = 0; i < 3; ++i) {
    Tensor x = random_weights({4, 6}, seed + i);
    // Rows of equal numbers give sums that are positive, or 0.
    for (int64_t k = 0; k < x.size(); ++k) {
      x.mutable_data<float>()[k] = k < 6 ? 0 : std::fabs(x.data<float>()[k]);
    }
    all.push_back({{{"x", x}}, {}});
  }
  return dataset_from_feeds(std::move(all));
}

// Runs models, and counts how many.
struct Counting {
  int made = 0;
  MakeExecutor executors() {
    return [this](const Model& model) {
      ++made;
      return make_float_executor(model);
    };
  }
};

struct Caching {
  testing::TempFolder folder;
  Counting counting;
  std::filesystem::path path = folder / "cache.json";

  CachedCalibration calibrate(const Model& model, Dataset& data,
                              const ObserverOptions& options = {}, bool means = true) {
    return calibrate_cached(path, model, place_quantization(model, {}), data, options, means,
                            nullptr, counting.executors());
  }
};

TEST(CalibCache, what_comes_back_is_what_went_in) {
  const Model model = layers(0);
  const Placement placement = place_quantization(model, {});
  for (CalibrationMethod method :
       {CalibrationMethod::kMinMax, CalibrationMethod::kMovingAverage,
        CalibrationMethod::kPercentile, CalibrationMethod::kEntropy, CalibrationMethod::kMse}) {
    Caching caching;
    const auto data = feeds();
    const ObserverOptions options{.method = method};
    const Statistics fresh = caching.calibrate(model, *data, options).statistics;
    EXPECT_EQ(caching.counting.made, 1);
    const CachedCalibration again = caching.calibrate(model, *data, options);
    EXPECT_EQ(caching.counting.made, 1);  // read, not run
    EXPECT_NE(again.note.find("calibration is that of"), std::string::npos) << again.note;
    const Statistics& cached = again.statistics;
    EXPECT_EQ(cached.samples, fresh.samples);
    EXPECT_EQ(cached.unusable, fresh.unusable);
    EXPECT_FALSE(fresh.unusable.empty());
    EXPECT_EQ(cached.some_samples.size(), fresh.some_samples.size());
    ASSERT_EQ(cached.observers.size(), fresh.observers.size());
    for (const auto& [value, observer] : fresh.observers) {
      const Range wanted = observer->range(), got = cached.observers.at(value)->range();
      EXPECT_EQ(got.low, wanted.low) << value->name();
      EXPECT_EQ(got.high, wanted.high) << value->name();
    }
    ASSERT_EQ(cached.means.size(), fresh.means.size());
    for (const auto& [value, means] : fresh.means) {
      EXPECT_EQ(cached.means.at(value).means(), means.means()) << value->name();
    }
  }
}

TEST(CalibCache, whatever_is_another_is_run) {
  const Model model = layers(0);
  Caching caching;
  const auto data = feeds(), others = feeds(7);
  caching.calibrate(model, *data);
  int made = 1;
  const auto runs = [&](const CachedCalibration& calibration) {
    EXPECT_EQ(caching.counting.made, ++made);
    EXPECT_NE(calibration.note.find("was of another model, data or options"), std::string::npos);
  };
  runs(caching.calibrate(model, *others));
  runs(caching.calibrate(layers(0.5f), *others));
  runs(caching.calibrate(model, *others, {.method = CalibrationMethod::kMinMax}));
  runs(caching.calibrate(model, *others, {.symmetric = true}));
  runs(caching.calibrate(model, *others, {.dtype = DType::kInt16}));
  runs(caching.calibrate(model, *others, {}, /*means=*/false));
  caching.calibrate(model, *others, {}, /*means=*/false);
  EXPECT_EQ(caching.counting.made, made);
}

TEST(CalibCache, no_other_file_is_overwritten) {
  const Model model = layers();
  const auto data = feeds();
  for (const char* content : {"", "{", "[]", "{\"format\": \"another\"}", "precious"}) {
    Caching caching;
    caching.folder.write("cache.json", content);
    testing::expect_error<BadData>("cache.json is there but is no calibration cache",
                                   [&] { caching.calibrate(model, *data); });
    EXPECT_EQ(testing::read_file(caching.path), content);
    EXPECT_EQ(caching.folder.entries(), 1u);
  }
}

// Whatever is cut off or changed in it: refused, or run anew, or read as it is; never a crash.
TEST(CalibCache, a_damaged_file_is_an_error) {
  const Model model = layers();
  Caching caching;
  const auto data = feeds();
  caching.calibrate(model, *data);
  const std::string good = testing::read_file(caching.path);
  int refused = 0, changes = 0;
  const auto damage = [&](const std::string& from, const std::string& to) {
    std::string bad = good;
    const size_t at = bad.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    caching.folder.write("cache.json", bad.replace(at, from.size(), to));
    ++changes;
    try {
      caching.calibrate(model, *data);
      ADD_FAILURE() << from << " as " << to;
    } catch (const BadData& error) {
      refused += std::string(error.what()).find("cache.json") != std::string::npos ? 1 : 0;
    }
  };
  damage("\"samples\": ", "\"samples\": \"many\", \"others\": ");
  damage("\"values\": [", "\"values\": [], \"others\": [");
  damage("\"low\": ", "\"low\": {}, \"others\": ");
  damage("\"means\": [", "\"means\": {}, \"others\": [");
  damage("\"high\"", "\"hihg\"");
  EXPECT_EQ(refused, changes);
  for (size_t size = 0; size < good.size(); size += 7) {
    caching.folder.write("cache.json", good.substr(0, size));
    EXPECT_THROW(caching.calibrate(model, *data), BadData) << size;
  }
}

class Once : public Dataset {
 public:
  std::optional<Feed> next() override { return std::nullopt; }
  bool rewind() override { return false; }
  int64_t size() const override { return 0; }
};

TEST(CalibCache, data_that_can_be_read_once_is_refused) {
  Caching caching;
  Once once;
  testing::expect_error<BadData>("it can be read only once",
                                 [&] { caching.calibrate(layers(), once); });
  EXPECT_EQ(caching.folder.entries(), 0u);
}

}  // namespace
}  // namespace dwindle::passes
