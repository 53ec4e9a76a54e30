// A folder of .npz: each file is one feed as it is.
#include "core/data/array_stream.h"
#include "core/data/batching.h"
#include "core/data/folders.h"
#include "core/data/model_inputs.h"
#include "core/runtime/compare.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

class NpzFolder : public Dataset {
 public:
  NpzFolder(std::vector<std::filesystem::path> files, const Model& model, std::string labels)
      : files_(std::move(files)), inputs_(input_specs(model)), labels_(std::move(labels)) {}

  std::optional<Feed> next() override {
    if (at_ >= files_.size()) return std::nullopt;
    return load(files_[at_++]);
  }
  bool rewind() override {
    at_ = 0;
    return true;
  }
  int64_t size() const override { return static_cast<int64_t>(files_.size()); }

 private:
  Feed load(const std::filesystem::path& path) const {
    const std::string source = path.string();
    ArrayStreams streams = open_npz(path);
    Feed feed;
    feed.source = source;
    if (!labels_.empty()) {
      auto it = streams.find(labels_);
      if (it == streams.end()) {
        throw BadData(source + " has no key '" + labels_ + "' for the classes");
      }
      Tensor labels = to_labels(it->second->read_all(), labels_, source);
      feed.labels = labels.reshaped({labels.size()});
      streams.erase(it);
    }
    std::vector<std::string> keys;
    for (const auto& [key, stream] : streams) keys.push_back(key);
    check_keys(inputs_, keys, source);
    for (const InputSpec& input : inputs_) {
      auto it = streams.find(input.name);
      if (it == streams.end()) continue;
      const auto stream = as_input_dtype(input, std::move(it->second), source);
      check_shape(input, stream->shape(), source);
      feed.inputs[input.name] = stream->read_all();
    }
    feed.samples = feed.labels ? feed.labels->size() : batch_of(feed);
    return feed;
  }

  static void check_shape(const InputSpec& input, const Dims& dims, const std::string& source) {
    if (!input.type.shape) return;
    const Shape& shape = *input.type.shape;
    bool fits = shape.size() == dims.size();
    for (size_t i = 0; fits && i < dims.size(); ++i) {
      fits = !shape[i].known() || shape[i].extent == dims[i];
    }
    if (fits) return;
    throw BadData(source + ": '" + input.name + "' has the shape " + to_string(dims) +
                  ", but the model wants " + to_string(input.type));
  }

  std::vector<std::filesystem::path> files_;
  std::vector<InputSpec> inputs_;
  std::string labels_;
  size_t at_ = 0;
};

}  // namespace

std::unique_ptr<Dataset> make_npz_feeds(std::vector<std::filesystem::path> files,
                                        const Model& model, const DatasetOptions& options) {
  refuse_image_options(options, "a folder of .npz");
  return std::make_unique<NpzFolder>(std::move(files), model, options.labels);
}

}  // namespace dwindle
