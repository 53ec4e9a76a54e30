// Compare: models that should do the same, side by side over data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/data/dataset.h"
#include "core/quant/sqnr.h"
#include "core/runtime/executor.h"
#include "core/support/progress.h"

namespace dwindle {

// How close one output of a model is to the same output of the reference.
struct OutputAgreement {
  std::string output;
  double sqnr_db = 0;  // infinite where equal; NaN where nothing could be compared
  // Share of samples whose top classes are equal; none where the output has no classes in some
  // feed.
  std::optional<double> top1;
  // Of `feeds`, those in which it had another shape, as what a detector finds has: they do not
  // count.
  int64_t feeds = 0, unlike = 0;
  // Elements that are NaN in both, as marks of what is absent, and in one of both, as of a root or
  // a logarithm near 0: they do not count.
  int64_t nans = 0, nans_of_one = 0;

  bool comparable() const { return unlike < feeds; }
};

// Adds up over feeds how close the outputs of a model are to those of the reference.
class OutputComparison {
 public:
  // Raises BadData where `other` lacks an output of `reference`, or has one of another rank there.
  void add(const TensorMap& reference, const TensorMap& other);
  std::vector<OutputAgreement> result() const;

 private:
  struct Tally {
    Sqnr sqnr;
    int64_t feeds = 0, unlike = 0, elements = 0, nans = 0, nans_of_one = 0;
    int64_t same = 0, positions = 0;
    bool classes = true;
  };
  std::map<std::string, Tally> tallies_;
};

struct ModelScore {
  std::string name;
  uint64_t bytes = 0;
  std::optional<double> accuracy;        // top-1, where the data has labels
  double latency_ms = 0;                 // median, one sample
  std::vector<OutputAgreement> outputs;  // beside the first model; of the first: empty
};

struct NamedModel {
  std::string name;
  const Model* model;
  uint64_t bytes;
};

struct CompareOptions {
  int latency_runs = 20;  // of each model, in turn; 0: no latency
  MakeExecutor executors = make_float_executor;
};

// Runs all models over `data`; the first is the reference. Raises BadData where the data is empty,
// does not fit, or where the models' outputs have different names or ranks.
std::vector<ModelScore> compare_models(const std::vector<NamedModel>& models, Dataset& data,
                                       const CompareOptions& options, Progress* progress);

// Which outputs hold classes cannot be told from a tensor alone, but where they may lie can: along
// the only axis beside the first that has more than one element, as in [N, C], [N, C, 1, 1] and
// [N, 1, 1, C]. Maps and sequences ([N, C, H, W], [N, H, W, C], [N, T, C]) have none: which of
// their axes counts classes, or whether they are images or features, no shape says.
inline constexpr const char* kClassesRule =
    "classes lie along the only axis beside the first that has more than one element";

// What a sample has whose scores are not numbers; it agrees with no other.
inline constexpr int64_t kNoClass = -1;

// The arg-max of each sample of a floating-point output by that rule; empty where it has no
// classes.
std::vector<int64_t> top_classes(const Tensor& output);

// Whether an output of that type may turn out to have classes: false where its dtype, its rank or
// the extents that are known say that it cannot.
bool may_have_classes(const ValueType& type);

// The first `samples` samples of an output that has `batch` along its first axis; the whole output
// where it has not.
Tensor first_samples(const Tensor& output, int64_t samples, int64_t batch);

// The extent of the first axis that all inputs of `feed` share (0 where it holds no samples), or 1.
int64_t batch_of(const Feed& feed);

// The real samples of a feed in feeds of `most` samples at most, where the dataset put them
// together
// (`divisible`) and they can be told apart; the feed itself otherwise. Bytes are shared.
std::vector<Feed> split_samples(const Feed& feed, int64_t most = 1);

}  // namespace dwindle
