#include "core/data/batching.h"

#include <algorithm>
#include <cstring>

#include "core/data/model_inputs.h"
#include "core/runtime/compare.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

// One input and the array that feeds it.
struct Column {
  std::string name;
  std::unique_ptr<ArrayStream> stream;
  bool whole = false;  // each entry along the first axis is a whole feed
};

class Batches : public Dataset {
 public:
  Batches(ArrayStreams streams, const Model& model, const DatasetOptions& options,
          std::string source)
      : source_(std::move(source)), batch_(std::max<int64_t>(options.batch, 1)) {
    take_labels(streams, options.labels);
    const std::vector<InputSpec> inputs = input_specs(model);
    drop_unused_labels(streams, inputs, options.labels);
    std::vector<std::string> keys;
    for (const auto& [key, stream] : streams) keys.push_back(key);
    check_keys(inputs, keys, source_);
    for (const InputSpec& input : inputs) {
      auto it = streams.find(input.name);
      if (it != streams.end()) add_column(input, std::move(it->second));
    }
    if (columns_.empty()) throw BadData(source_ + " feeds no input of the model");
    check_counts();
    settle_batch();
  }

  std::optional<Feed> next() override {
    if (at_ >= samples_) return std::nullopt;
    const int64_t real = std::min(batch_, samples_ - at_);
    const int64_t rows = fixed_ ? batch_ : real;
    Feed feed;
    feed.samples = real;
    for (const Column& column : columns_) {
      feed.inputs[column.name] = read(column, real, rows);
    }
    feed.divisible = !fixed_ && !any_whole_;
    if (any_whole_) feed.samples = batch_of(feed);
    feed.source = source_;
    feed.first_sample = any_whole_ ? at_ * feed.samples : at_;
    if (labels_) cut_labels(feed, real);
    at_ += real;
    return feed;
  }

  bool rewind() override {
    for (const Column& column : columns_) column.stream->rewind();
    at_ = 0;
    return true;
  }

  int64_t size() const override { return samples_; }

 private:
  void take_labels(ArrayStreams& streams, const std::string& key) {
    if (key.empty()) return;
    auto it = streams.find(key);
    if (it == streams.end()) {
      std::string keys;
      for (const auto& [name, stream] : streams) keys += (keys.empty() ? "'" : ", '") + name + "'";
      throw BadData(source_ + " has no key '" + key + "' for the classes; its keys are " + keys);
    }
    labels_ = to_labels(it->second->read_all(), key, source_);
    if (labels_->rank() == 0) throw BadData(source_ + ": '" + key + "' is a single number");
    streams.erase(it);
  }

  // Data sets often carry their classes along; calibration has no use for them.
  static void drop_unused_labels(ArrayStreams& streams, const std::vector<InputSpec>& inputs,
                                 const std::string& labels_key) {
    if (!labels_key.empty()) return;
    std::erase_if(streams, [&](const auto& entry) {
      const bool is_input = std::ranges::any_of(
          inputs, [&](const InputSpec& input) { return input.name == entry.first; });
      return !is_input && entry.second->shape().size() == 1 && is_integer(entry.second->dtype()) &&
             streams.size() > 1;
    });
  }

  void add_column(const InputSpec& input, std::unique_ptr<ArrayStream> stream) {
    stream = as_input_dtype(input, std::move(stream), source_);
    const Dims& dims = stream->shape();
    if (dims.empty()) bad_shape(input, dims);
    bool whole = false;
    if (input.type.shape) {
      const Shape& shape = *input.type.shape;
      whole = dims.size() == shape.size() + 1;
      if (!whole && dims.size() != shape.size()) bad_shape(input, dims);
      for (size_t axis = 1; axis < dims.size(); ++axis) {
        const Dim& dim = shape[whole ? axis - 1 : axis];
        if (dim.known() && dim.extent != dims[axis]) bad_shape(input, dims);
      }
      if (!whole && shape[0].known()) fix_batch(input, shape[0].extent);
    }
    any_whole_ |= whole;
    columns_.push_back({input.name, std::move(stream), whole});
  }

  [[noreturn]] void bad_shape(const InputSpec& input, const Dims& dims) const {
    throw BadData(source_ + ": '" + input.name + "' has the shape " + to_string(dims) +
                  ", which does not fit the model's " + to_string(input.type) +
                  " with samples along the first axis");
  }

  void fix_batch(const InputSpec& input, int64_t extent) {
    if (extent == 0) {
      throw BadModel("input '" + input.name + "' of the model (" + to_string(input.type) +
                     ") has no elements, so that there is nothing to feed it");
    }
    if (fixed_ && extent != batch_) {
      throw BadData(source_ + ": '" + input.name + "' is taken " + std::to_string(extent) +
                    " samples at a time, but another input " + std::to_string(batch_) +
                    "; give arrays with one more axis, one whole feed an entry");
    }
    fixed_ = true;
    batch_ = extent;
  }

  void check_counts() {
    samples_ = columns_[0].stream->shape()[0];
    for (const Column& column : columns_) {
      check_count(column.name, column.stream->shape()[0]);
    }
    if (samples_ == 0)
      throw BadData(source_ + " is empty: '" + columns_[0].name + "' has 0 samples");
    if (labels_) check_count("the classes", labels_->shape()[0]);
  }

  void check_count(const std::string& what, int64_t count) const {
    if (count == samples_) return;
    throw BadData(source_ + ": '" + columns_[0].name + "' has " + std::to_string(samples_) +
                  " samples, but " + (what == "the classes" ? what : "'" + what + "'") + " " +
                  std::to_string(count));
  }

  void settle_batch() {
    if (labels_) {
      per_sample_ = labels_->size() / samples_;
      if (per_sample_ != 1 && !any_whole_) {
        throw BadData(source_ + ": the classes have the shape " + to_string(labels_->shape()) +
                      "; one integer a sample is wanted");
      }
    }
    if (!any_whole_) return;
    if (fixed_ && batch_ != 1) {
      throw BadData(source_ +
                    ": some inputs are given a whole feed an entry, others in batches of " +
                    std::to_string(batch_) + "; give all of them one more axis");
    }
    batch_ = 1;
  }

  Tensor read(const Column& column, int64_t real, int64_t rows) const {
    Dims shape = column.stream->shape();
    if (column.whole) {
      shape.erase(shape.begin());
    } else {
      shape[0] = rows;
    }
    Tensor tensor = Tensor::allocate(column.stream->dtype(), std::move(shape));
    if (tensor.nbytes() == 0) return tensor;
    std::byte* out = tensor.mutable_bytes();
    const size_t bytes = tensor.nbytes() / static_cast<size_t>(rows) * static_cast<size_t>(real);
    column.stream->read(out, bytes);
    // Filled up by repeating, however few samples there are.
    for (size_t at = bytes; at < tensor.nbytes(); at += bytes) {
      std::memcpy(out + at, out, std::min(bytes, tensor.nbytes() - at));
    }
    return tensor;
  }

  void cut_labels(Feed& feed, int64_t real) const {
    const int64_t count = real * per_sample_;
    feed.labels = Tensor::of(
        {count}, labels_->values<int64_t>().subspan(static_cast<size_t>(at_ * per_sample_),
                                                    static_cast<size_t>(count)));
    feed.samples = count;
  }

  std::string source_;
  int64_t batch_;
  bool fixed_ = false;  // by the model
  bool any_whole_ = false;
  int64_t samples_ = 0;
  int64_t per_sample_ = 1;  // classes an entry
  int64_t at_ = 0;
  std::vector<Column> columns_;
  std::optional<Tensor> labels_;
};

}  // namespace

std::unique_ptr<Dataset> make_batches(ArrayStreams streams, const Model& model,
                                      const DatasetOptions& options, std::string source) {
  refuse_image_options(options, source);
  return std::make_unique<Batches>(std::move(streams), model, options, std::move(source));
}

void refuse_image_options(const DatasetOptions& options, const std::string& source) {
  if (options.mean.empty() && options.std.empty() && options.layout.empty()) return;
  throw BadOption("mean, std and layout apply to a folder of images, which " + source + " is not");
}

}  // namespace dwindle
