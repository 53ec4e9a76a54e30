#include "core/runtime/compare.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "core/support/error.h"

namespace dwindle {
namespace {

struct Contender {
  std::unique_ptr<Executor> executor;
  OutputComparison comparison;
  int64_t right = 0;
  std::vector<double> latencies;
};

// The arg-max of a sample over all that the output has for it, as classifiers are scored.
int64_t count_right(const Tensor& output, const std::vector<int64_t>& labels) {
  const std::vector<float> values = to_floats(output);
  if (labels.empty() || values.size() % labels.size() != 0) {
    throw BadData("labels: " + std::to_string(labels.size()) + " for an output of shape " +
                  to_string(output.shape()));
  }
  const size_t classes = values.size() / labels.size();
  int64_t right = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || labels[i] >= static_cast<int64_t>(classes)) {
      throw BadData("labels: class " + std::to_string(labels[i]) + ", but the output has " +
                    std::to_string(classes) + " classes, counted from 0");
    }
    const auto row = values.begin() + static_cast<std::ptrdiff_t>(i * classes);
    right += std::max_element(row, row + static_cast<std::ptrdiff_t>(classes)) - row == labels[i];
  }
  return right;
}

void measure_latency(std::vector<Contender>& contenders, const Feed& sample, int runs) {
  using Clock = std::chrono::steady_clock;
  for (int run = 0; run <= runs; ++run) {
    for (Contender& contender : contenders) {
      const auto start = Clock::now();
      contender.executor->run(sample.inputs);
      const std::chrono::duration<double, std::milli> took = Clock::now() - start;
      if (run > 0) contender.latencies.push_back(took.count());  // the first warms up
    }
  }
}

struct DroppedNans {
  int64_t both = 0, one = 0;
};

// Takes elements out that are NaN in both or in one.
DroppedNans drop_nans(std::vector<float>& a, std::vector<float>& b) {
  DroppedNans dropped;
  size_t kept = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const int nans = std::isnan(a[i]) + std::isnan(b[i]);
    if (nans > 0) {
      ++(nans == 2 ? dropped.both : dropped.one);
      continue;
    }
    a[kept] = a[i];
    b[kept++] = b[i];
  }
  a.resize(kept);
  b.resize(kept);
  return dropped;
}

// Both as numbers; of text, 1 for each element that is as expected, and 0 for others.
std::pair<std::vector<float>, std::vector<float>> numbers_of(const Tensor& expected,
                                                             const Tensor& got) {
  if (expected.dtype() != DType::kString || got.dtype() != DType::kString) {
    return {to_floats(expected), to_floats(got)};
  }
  const std::vector<std::string>&a = expected.string_values(), &b = got.string_values();
  std::vector<float> same(a.size());
  for (size_t i = 0; i < a.size(); ++i) same[i] = a[i] == b[i] ? 1.0f : 0.0f;
  return {std::vector<float>(a.size(), 1.0f), std::move(same)};
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

void OutputComparison::add(const TensorMap& reference, const TensorMap& other) {
  for (const auto& [name, expected] : reference) {
    const auto found = other.find(name);
    if (found == other.end()) throw BadData("a model has no output '" + name + "'");
    const Tensor& got = found->second;
    if (expected.rank() != got.rank()) {
      throw BadData("output '" + name + "' is " + to_string(expected.shape()) +
                    " of one model and " + to_string(got.shape()) + " of another");
    }
    Tally& tally = tallies_[name];
    ++tally.feeds;
    if (expected.shape() != got.shape()) {
      ++tally.unlike;
      continue;
    }
    auto [real, other_values] = numbers_of(expected, got);
    tally.elements += expected.size();
    const DroppedNans dropped = drop_nans(real, other_values);
    tally.nans += dropped.both;
    tally.nans_of_one += dropped.one;
    tally.sqnr.add(real, other_values);
    const auto a = top_classes(expected), b = top_classes(got);
    tally.classes &= !a.empty() || expected.size() == 0;
    tally.positions += static_cast<int64_t>(a.size());
    for (size_t i = 0; i < a.size(); ++i) tally.same += a[i] == b[i] && a[i] != kNoClass;
  }
}

std::vector<OutputAgreement> OutputComparison::result() const {
  std::vector<OutputAgreement> result;
  for (const auto& [name, tally] : tallies_) {
    OutputAgreement& agreement = result.emplace_back();
    agreement.output = name;
    const bool nothing = tally.unlike == tally.feeds ||
                         (tally.elements > 0 && tally.nans + tally.nans_of_one == tally.elements);
    agreement.sqnr_db = nothing ? std::numeric_limits<double>::quiet_NaN() : tally.sqnr.db();
    agreement.feeds = tally.feeds;
    agreement.unlike = tally.unlike;
    agreement.nans = tally.nans;
    agreement.nans_of_one = tally.nans_of_one;
    if (tally.classes && tally.positions > 0) {
      agreement.top1 = static_cast<double>(tally.same) / static_cast<double>(tally.positions);
    }
  }
  return result;
}

std::vector<int64_t> top_classes(const Tensor& output) {
  const Dims& dims = output.shape();
  if (dims.size() < 2 || !is_floating(output.dtype())) return {};
  if (std::count_if(dims.begin() + 1, dims.end(), [](int64_t n) { return n != 1; }) != 1) return {};
  int64_t classes = 1;
  for (size_t i = 1; i < dims.size(); ++i) classes *= dims[i];
  if (classes < 2) return {};
  const std::vector<float> values = to_floats(output);
  std::vector<int64_t> top;
  for (int64_t i = 0; i < dims[0]; ++i) {
    const float* row = values.data() + i * classes;
    const bool nan = std::any_of(row, row + classes, [](float x) { return std::isnan(x); });
    top.push_back(nan ? kNoClass : std::max_element(row, row + classes) - row);
  }
  return top;
}

bool may_have_classes(const ValueType& type) {
  if (type.dtype != DType::kUndefined && (!type.is_tensor() || !is_floating(type.dtype))) {
    return false;
  }
  if (!type.shape) return true;
  if (type.shape->size() < 2) return false;
  int64_t long_axes = 0, open_axes = 0;
  for (auto dim = type.shape->begin() + 1; dim != type.shape->end(); ++dim) {
    if (!dim->known()) {
      ++open_axes;
    } else if (dim->extent != 1) {
      ++long_axes;
    }
  }
  return long_axes < 2 && long_axes + open_axes > 0;
}

Tensor first_samples(const Tensor& output, int64_t samples, int64_t batch) {
  if (samples >= batch || output.rank() == 0 || output.shape()[0] != batch) return output;
  Dims dims = output.shape();
  dims[0] = samples;
  if (output.dtype() == DType::kString) {
    const auto& texts = output.string_values();
    return Tensor::strings(dims, {texts.begin(), texts.begin() + element_count(dims)});
  }
  return Tensor::borrow(output.dtype(), dims, output.bytes(), output.owner());
}

int64_t batch_of(const Feed& feed) {
  int64_t batch = -1;
  for (const auto& [name, tensor] : feed.inputs) {
    if (tensor.rank() == 0) return 1;
    if (batch >= 0 && tensor.shape()[0] != batch) return 1;
    batch = tensor.shape()[0];
  }
  return batch < 0 ? 1 : batch;
}

std::vector<Feed> split_samples(const Feed& feed, int64_t most) {
  const int64_t batch = batch_of(feed);
  if (!feed.divisible || batch <= 1 || feed.samples > batch) return {feed};
  if (most >= batch && feed.samples == batch) return {feed};
  std::vector<Feed> parts;
  for (int64_t begin = 0; begin < feed.samples; begin += most) {
    Feed& part = parts.emplace_back();
    part.samples = std::min(most, feed.samples - begin);
    part.divisible = part.samples > 1;
    for (const auto& [name, tensor] : feed.inputs) {
      if (tensor.dtype() == DType::kString || dtype_bits(tensor.dtype()) % 8 != 0) return {feed};
      Dims dims = tensor.shape();
      dims[0] = part.samples;
      const size_t step = tensor.nbytes() / static_cast<size_t>(batch);
      part.inputs.emplace(
          name, Tensor::borrow(tensor.dtype(), dims,
                               tensor.bytes() + static_cast<size_t>(begin) * step, tensor.owner()));
    }
    if (feed.labels) {
      part.labels = Tensor::of<int64_t>(
          {part.samples},
          std::span<const int64_t>(to_int64s(*feed.labels))
              .subspan(static_cast<size_t>(begin), static_cast<size_t>(part.samples)));
    }
  }
  return parts;
}

std::vector<ModelScore> compare_models(const std::vector<NamedModel>& models, Dataset& data,
                                       const CompareOptions& options, Progress* progress) {
  if (options.latency_runs < 0) {
    throw BadOption("runs is 0 or more, not " + std::to_string(options.latency_runs));
  }
  std::vector<Contender> contenders;
  for (const NamedModel& model : models) {
    contenders.push_back({options.executors(*model.model), {}, 0, {}});
  }
  int64_t samples = 0;
  bool labelled = false;
  while (std::optional<Feed> feed = data.next()) {
    const int64_t batch = batch_of(*feed);
    TensorMap reference;
    for (Contender& contender : contenders) {
      TensorMap outputs = contender.executor->run(feed->inputs);
      for (auto& [name, tensor] : outputs) tensor = first_samples(tensor, feed->samples, batch);
      if (feed->labels) {
        labelled = true;
        const Graph& graph =
            *models[static_cast<size_t>(&contender - contenders.data())].model->graph;
        contender.right +=
            count_right(outputs.at(graph.outputs().at(0)->name()), to_int64s(*feed->labels));
      }
      if (&contender == contenders.data()) {
        reference = std::move(outputs);
        continue;
      }
      contender.comparison.add(reference, outputs);
    }
    if (samples == 0 && feed->samples > 0 && options.latency_runs > 0) {
      measure_latency(contenders, split_samples(*feed)[0], options.latency_runs);
    }
    samples += feed->samples;
    if (progress != nullptr) {
      progress->update("comparing", static_cast<size_t>(samples), static_cast<size_t>(data.size()));
    }
  }
  if (samples == 0) throw BadData("the data has no samples");

  std::vector<ModelScore> scores;
  for (size_t i = 0; i < models.size(); ++i) {
    ModelScore score{
        models[i].name, models[i].bytes, std::nullopt, median(contenders[i].latencies), {}};
    if (labelled)
      score.accuracy = static_cast<double>(contenders[i].right) / static_cast<double>(samples);
    score.outputs = contenders[i].comparison.result();
    scores.push_back(std::move(score));
  }
  return scores;
}

}  // namespace dwindle
