// Datasets of what is in memory already.
#include <utility>

#include "core/data/batching.h"

namespace dwindle {
namespace {

class Feeds : public Dataset {
 public:
  explicit Feeds(std::vector<Feed> feeds) : feeds_(std::move(feeds)) {}

  std::optional<Feed> next() override {
    if (at_ >= feeds_.size()) return std::nullopt;
    return feeds_[at_++];
  }
  bool rewind() override {
    at_ = 0;
    return true;
  }
  int64_t size() const override {
    int64_t samples = 0;
    for (const Feed& feed : feeds_) samples += feed.samples;
    return samples;
  }

 private:
  std::vector<Feed> feeds_;
  size_t at_ = 0;
};

}  // namespace

std::unique_ptr<Dataset> dataset_from_arrays(const std::map<std::string, Tensor>& arrays,
                                             const Model& model, const DatasetOptions& options) {
  ArrayStreams streams;
  for (const auto& [key, tensor] : arrays) streams[key] = stream_tensor(tensor);
  return make_batches(std::move(streams), model, options, "the data");
}

std::unique_ptr<Dataset> dataset_from_feeds(std::vector<Feed> feeds) {
  return std::make_unique<Feeds>(std::move(feeds));
}

}  // namespace dwindle
