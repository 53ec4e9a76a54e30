#include "core/runtime/compare.h"

#include <algorithm>
#include <chrono>

#include "core/quant/sqnr.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

// What is added up of one output of one model.
struct OutputTally {
  Sqnr sqnr;
  int64_t same = 0, positions = 0;
  bool classes = true;

  void add(const std::string& name, const Tensor& reference, const Tensor& other) {
    if (reference.shape() != other.shape()) {
      throw BadData("output '" + name + "' is " + to_string(reference.shape()) +
                    " of one model and " + to_string(other.shape()) + " of another");
    }
    sqnr.add(to_floats(reference), to_floats(other));
    const auto a = top_classes(reference), b = top_classes(other);
    classes &= !a.empty() || reference.size() == 0;
    positions += static_cast<int64_t>(a.size());
    for (size_t i = 0; i < a.size(); ++i) same += a[i] == b[i];
  }

  OutputAgreement agreement(const std::string& name) const {
    OutputAgreement result{name, sqnr.db(), std::nullopt};
    if (classes && positions > 0)
      result.top1 = static_cast<double>(same) / static_cast<double>(positions);
    return result;
  }
};

struct Contender {
  FloatExecutor executor;
  std::map<std::string, OutputTally> tallies;
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
      contender.executor.run(sample.inputs);
      const std::chrono::duration<double, std::milli> took = Clock::now() - start;
      if (run > 0) contender.latencies.push_back(took.count());  // the first warms up
    }
  }
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

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
    top.push_back(std::max_element(row, row + classes) - row);
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
  return Tensor::borrow(output.dtype(), dims, output.bytes(), output.owner());
}

int64_t batch_of(const Feed& feed) {
  int64_t batch = -1;
  for (const auto& [name, tensor] : feed.inputs) {
    if (tensor.rank() == 0) return 1;
    if (batch >= 0 && tensor.shape()[0] != batch) return 1;
    batch = tensor.shape()[0];
  }
  return std::max<int64_t>(batch, 1);
}

std::vector<Feed> split_samples(const Feed& feed) {
  const int64_t batch = batch_of(feed);
  if (!feed.divisible || batch == 1 || feed.samples > batch) return {feed};
  std::vector<Feed> samples(static_cast<size_t>(feed.samples));
  for (int64_t i = 0; i < feed.samples; ++i) {
    Feed& sample = samples[static_cast<size_t>(i)];
    for (const auto& [name, tensor] : feed.inputs) {
      if (tensor.dtype() == DType::kString || dtype_bits(tensor.dtype()) % 8 != 0) return {feed};
      Dims dims = tensor.shape();
      dims[0] = 1;
      const size_t step = tensor.nbytes() / static_cast<size_t>(batch);
      sample.inputs.emplace(
          name, Tensor::borrow(tensor.dtype(), dims, tensor.bytes() + static_cast<size_t>(i) * step,
                               tensor.owner()));
    }
    if (feed.labels) {
      sample.labels = Tensor::of<int64_t>({1}, {to_int64s(*feed.labels)[static_cast<size_t>(i)]});
    }
  }
  return samples;
}

std::vector<ModelScore> compare_models(const std::vector<NamedModel>& models, Dataset& data,
                                       const CompareOptions& options, Progress* progress) {
  if (options.latency_runs < 0) {
    throw BadOption("runs is 0 or more, not " + std::to_string(options.latency_runs));
  }
  std::vector<Contender> contenders;
  for (const NamedModel& model : models) {
    contenders.push_back({FloatExecutor(*model.model), {}, 0, {}});
  }
  int64_t samples = 0;
  bool labelled = false;
  while (std::optional<Feed> feed = data.next()) {
    const int64_t batch = batch_of(*feed);
    TensorMap reference;
    for (Contender& contender : contenders) {
      TensorMap outputs = contender.executor.run(feed->inputs);
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
      for (const auto& [name, tensor] : reference) {
        auto other = outputs.find(name);
        if (other == outputs.end()) throw BadData("a model has no output '" + name + "'");
        contender.tallies[name].add(name, tensor, other->second);
      }
    }
    if (samples == 0 && options.latency_runs > 0) {
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
    for (const auto& [name, tally] : contenders[i].tallies) {
      score.outputs.push_back(tally.agreement(name));
    }
    scores.push_back(std::move(score));
  }
  return scores;
}

}  // namespace dwindle
