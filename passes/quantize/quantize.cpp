#include "passes/quantize/quantize.h"

#include <algorithm>

#include "core/support/error.h"
#include "passes/registry.h"

namespace dwindle::passes {
namespace {

// Memory that feeds kept for the proof may take.
constexpr size_t kMostKept = size_t{64} << 20;

// Passes feeds on and keeps the first.
class KeepingDataset : public Dataset {
 public:
  KeepingDataset(Dataset& source, int64_t samples) : source_(source), wanted_(samples) {}

  std::optional<Feed> next() override {
    std::optional<Feed> feed = source_.next();
    if (feed && kept_samples_ < wanted_) keep(*feed);
    return feed;
  }
  bool rewind() override { return source_.rewind(); }
  int64_t size() const override { return source_.size(); }

  const std::vector<Feed>& kept() const { return kept_; }

 private:
  void keep(const Feed& feed) {
    size_t bytes = 0;
    for (const auto& [name, tensor] : feed.inputs) bytes += tensor.nbytes();
    if (!kept_.empty() && kept_bytes_ + bytes > kMostKept) return;
    kept_bytes_ += bytes;
    kept_samples_ += feed.samples;
    kept_.push_back(feed);
  }

  Dataset& source_;
  int64_t wanted_, kept_samples_ = 0;
  size_t kept_bytes_ = 0;
  std::vector<Feed> kept_;
};

// The recipe up to the first pass that needs data, and from it on.
std::pair<Recipe, Recipe> split_at_calibration(const Recipe& recipe) {
  const auto first = std::find_if(recipe.steps.begin(), recipe.steps.end(), [](const Step& step) {
    return find_pass(step.pass).needs_calibration;
  });
  return {{{recipe.steps.begin(), first}}, {{first, recipe.steps.end()}}};
}

}  // namespace

Recipe quantize_recipe(const std::map<std::string, OptionValue>& options) {
  // Weights that a caller could override are taken for what they are: constants.
  Recipe recipe{{{"drop-weight-inputs", {{"all", true}}}}};
  for (Step& step : simplify_recipe().steps) recipe.steps.push_back(std::move(step));
  recipe.steps.push_back({"raise-opset", {}});
  recipe.steps.push_back({"quantize-static", options});
  recipe.steps.push_back({"drop-dead-code", {}});
  return recipe;
}

ProvenResult run_with_calibration(Model& model, const Recipe& recipe, Dataset& data,
                                  const ProofOptions& options, Progress* progress) {
  if (options.max_drop && !data.rewind()) {
    throw BadData("max-drop compares on all of the data, but it can be read only once");
  }
  const Model original = model.clone();
  KeepingDataset keeping(data, options.samples);
  PassContext context{&keeping, progress};
  // The model as it is just before data comes in is what its quantized values are compared with.
  const auto [before, after] = split_at_calibration(recipe);
  ProvenResult result;
  result.passes = run_recipe(model, before, context);
  const Model simplified = model.clone();
  for (PassReport& report : run_recipe(model, after, context)) {
    result.passes.push_back(std::move(report));
  }
  // Where nothing was to be quantized, no pass has asked for data; the proof does.
  if (keeping.kept().empty() && !keeping.next()) {
    throw BadData("the calibration data has no samples");
  }
  result.quality =
      measure_quality(original, simplified, model, keeping.kept(), options.worst, progress);
  if (!options.max_drop) return result;
  data.rewind();
  result.quality->outputs = compare_models({{"float", &original, 0}, {"quantized", &model, 0}},
                                           data, {.latency_runs = 0}, progress)
                                .at(1)
                                .outputs;
  result.quality->samples = data.size();
  result.within_bound = result.quality->top1_drop() <= *options.max_drop;
  return result;
}

}  // namespace dwindle::passes
