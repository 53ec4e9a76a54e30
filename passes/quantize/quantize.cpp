#include "passes/quantize/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <iterator>

#include "core/data/open_dataset.h"
#include "core/ir/constant_bytes.h"
#include "core/ops/infer.h"
#include "core/runtime/first_non_finite.h"
#include "core/runtime/same_outputs.h"
#include "core/support/error.h"
#include "passes/describe.h"
#include "passes/quantize/scheme.h"
#include "passes/quantize/size_guard.h"
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
    std::optional<Feed> feed;
    try {
      feed = source_.next();
    } catch (...) {
      error_ = std::current_exception();
      throw;
    }
    if (feed) samples_ += feed->samples;
    if (feed && feed->samples > 0 && kept_samples_ < wanted_) keep(*feed);
    return feed;
  }
  bool rewind() override {
    if (!source_.rewind()) return false;
    samples_ = 0;
    kept_.clear();
    kept_samples_ = 0;
    kept_bytes_ = 0;
    return true;
  }
  // Samples since the start: a source need not know its size.
  int64_t samples() const { return samples_; }
  int64_t size() const override { return source_.size(); }

  const std::vector<Feed>& kept() const { return kept_; }
  // What the source raised, before a pass was blamed for it.
  std::exception_ptr error() const { return error_; }

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
  int64_t wanted_, kept_samples_ = 0, samples_ = 0;
  size_t kept_bytes_ = 0;
  std::vector<Feed> kept_;
  std::exception_ptr error_;
};

// The recipe up to the first pass that quantizes or needs data, and from it on, with the passes
// that are there for it alone.
std::pair<Recipe, Recipe> split_at_quantization(const Recipe& recipe) {
  auto first = std::find_if(recipe.steps.begin(), recipe.steps.end(), [](const Step& step) {
    return is_quantizer(step.pass) || find_pass(step.pass).needs_calibration;
  });
  while (first != recipe.steps.begin() && std::prev(first)->implied) --first;
  return {{{recipe.steps.begin(), first}}, {{first, recipe.steps.end()}}};
}

// Running a model takes about the memory of its weights once more.
constexpr size_t kMostRun = size_t{256} << 20;

// The scheme of quantize-static; none where the recipe has no such pass.
std::optional<Scheme> static_scheme(const Recipe& recipe) {
  for (const Step& step : recipe.steps) {
    if (step.pass != "quantize-static") continue;
    return read_static_scheme(complete_options(find_pass(step.pass), step.options));
  }
  return std::nullopt;
}

// Says so where the outputs keep less than was asked for all the same.
void tell_noisy_outputs(const Quality& quality, const Recipe& recipe, ProvenResult& result) {
  const std::optional<Scheme> scheme = static_scheme(recipe);
  if (!scheme || result.passes.empty()) return;
  for (const OutputAgreement& output : quality.outputs) {
    if (!(output.sqnr_db < scheme->least_output_sqnr)) continue;
    quantizer_notes(result).push_back(
        fmt::format("output '{}' keeps {:.1f} dB on the calibration data, less than the {:g} of "
                    "min-output-sqnr",
                    output.output, output.sqnr_db, scheme->least_output_sqnr));
  }
}

[[noreturn]] void no_classes(const Model& model) {
  std::string outputs;
  for (const Value* output : model.graph->outputs()) {
    outputs += (outputs.empty() ? "'" : ", '") + output->name() + "' " + to_string(output->type);
  }
  throw Unsupported("max-drop bounds how often the top class changes, but no output has classes (" +
                    outputs + "): " + kClassesRule + "; quantize without it and judge by the SQNR");
}

// Where shapes tell, it is said before the data is run.
void require_classes(const Model& model) {
  Model typed = model.clone();
  infer_shapes(typed);
  const auto& outputs = typed.graph->outputs();
  if (std::none_of(outputs.begin(), outputs.end(),
                   [](const Value* output) { return may_have_classes(output->type); })) {
    no_classes(typed);
  }
}

// Random inputs show what a result computes, but nothing may be made to fit them.
enum class DataUse { kCalibrateAndProve, kProve };

bool is_no_number(const OutputAgreement& output) {
  return output.comparable() && std::isnan(output.sqnr_db);
}

bool has_no_number(const Quality& quality) {
  return std::ranges::any_of(quality.outputs, is_no_number);
}

// What no rounding of weights leaves, in dB.
constexpr double kBeyondRounding = 90;

bool is_float_output(const Model& model, const std::string& name) {
  return std::ranges::any_of(model.graph->outputs(), [&](const Value* output) {
    return output->name() == name && output->type.dtype == DType::kFloat;
  });
}

// Says of outputs what no comparison could tell.
void tell_uncompared(const Quality& quality, const Model& model, ProvenResult& result) {
  const bool rounded = has_quantized(result);
  for (const OutputAgreement& output : quality.outputs) {
    if (result.passes.empty()) return;
    const std::string name = "output '" + output.output + "' ";
    if (output.unlike > 0) {
      quantizer_notes(result).push_back(fmt::format(
          "{}has another shape than the float model's in {} of {} runs: its size depends "
          "on the data, and it counts only where both are alike",
          name, output.unlike, output.feeds));
    }
    if (rounded && quality.random && output.sqnr_db > kBeyondRounding &&
        is_float_output(model, output.output)) {
      quantizer_notes(result).push_back(
          name +
          "loses next to nothing on random inputs, which saturate it or do not reach what "
          "was rounded: only calibration data can tell what it loses");
    }
    if (output.nans > 0) {
      quantizer_notes(result).push_back(fmt::format(
          "{}holds {} elements that are NaN in both models: they do not count", name, output.nans));
    }
    if (output.nans_of_one > 0) {
      quantizer_notes(result).push_back(
          fmt::format("{}holds {} elements that are NaN in one of both models: they do not count",
                      name, output.nans_of_one));
    }
  }
}

void require_numbers(const Quality& quality, const Model& original, const std::vector<Feed>& feeds,
                     const MakeExecutor& executors) {
  for (const OutputAgreement& output : quality.outputs) {
    if (!is_no_number(output)) continue;
    const std::string where = first_non_finite(original, feeds, executors);
    throw BadData("output '" + output.output + "' is not a number on the calibration data: " +
                  (where.empty() ? "a step on the way there makes NaN or an infinity" : where));
  }
}

void require_share(double max_drop) {
  if (max_drop >= 0 && max_drop <= 1) return;
  throw BadOption("max-drop is a share of the samples between 0 and 1, not " + to_text(max_drop));
}

// Runs the recipe, and takes back what would serve nothing or make the file larger. Returns the
// model as it is just before it is quantized: what its quantized values are compared with.
Model run_guarded(Model& model, const Recipe& recipe, bool with_classes, PassContext& context,
                  ProvenResult& result) {
  const auto [before, after] = split_at_quantization(recipe);
  result.passes = run_recipe(model, before, context);
  Model simplified = model.clone();
  if (with_classes) require_classes(simplified);
  std::ranges::move(run_recipe(model, after, context), std::back_inserter(result.passes));
  undo_where_useless(model, simplified, *context.original, after, context, result);
  return simplified;
}

ProvenResult run_and_prove(Model& model, const Recipe& recipe, Dataset& data, DataUse use,
                           const ProofOptions& options, Progress* progress,
                           const MakeExecutor& executors) {
  if (options.max_drop) require_share(*options.max_drop);
  if (options.max_drop && !data.rewind()) {
    throw BadData("max-drop compares on all of the data, but it can be read only once");
  }
  const Model original = model.clone();
  KeepingDataset keeping(data, options.samples);
  PassContext context{use == DataUse::kProve ? nullptr : &keeping, progress, &original,
                      options.scratch, executors};
  ProvenResult result;
  const Model simplified = [&] {
    try {
      return run_guarded(model, recipe, options.max_drop.has_value(), context, result);
    } catch (...) {
      if (keeping.error()) std::rethrow_exception(keeping.error());
      throw;
    }
  }();
  // Where no pass has asked for data, the proof does: for all that was made for it, else for one.
  if (keeping.kept().empty()) {
    while (keeping.next() && use == DataUse::kProve) {
    }
  }
  if (keeping.kept().empty()) throw BadData("the calibration data has no samples");
  result.quality = measure_quality(original, simplified, model, keeping.kept(), options.worst,
                                   progress, executors);
  result.quality->random = use == DataUse::kProve;
  if (use == DataUse::kProve && has_no_number(*result.quality)) {
    // Nobody said that the model takes such inputs.
    result.unproven = "it makes no numbers of random inputs";
    result.quality.reset();
    return result;
  }
  require_numbers(*result.quality, original, keeping.kept(), executors);
  tell_uncompared(*result.quality, original, result);
  tell_noisy_outputs(*result.quality, recipe, result);
  if (!options.max_drop) return result;
  keeping.rewind();
  result.quality->outputs =
      compare_models({{"float", &original, 0}, {"quantized", &model, 0}}, keeping,
                     {.latency_runs = 0, .executors = executors}, progress)
          .at(1)
          .outputs;
  result.quality->samples = keeping.samples();
  const std::optional<double> drop = result.quality->top1_drop();
  if (!drop) no_classes(original);
  result.within_bound = *drop <= *options.max_drop;
  return result;
}

// Whether op-types has room for the products of an Attention.
bool takes_products(const Options& options) {
  const auto& types = options.get<std::vector<std::string>>("op-types");
  return types.empty() || std::any_of(types.begin(), types.end(), [](const std::string& type) {
           return type == "Attention" || type == "MatMul";
         });
}

void refuse_options_of_activations(const std::map<std::string, OptionValue>& options) {
  for (const auto& [name, value] : options) {
    if (has_option(find_pass("quantize-weights"), name) ||
        !has_option(find_pass("quantize-static"), name)) {
      continue;
    }
    throw BadOption("activations none and " + name +
                    " contradict each other: it is of activations, which stay in float; leave one "
                    "of them out");
  }
}

}  // namespace

Step quantization_step(std::map<std::string, OptionValue> options) {
  const auto activations = options.find("activations");
  if (activations == options.end() || activations->second != OptionValue("none")) {
    return {"quantize-static", std::move(options)};
  }
  options.erase(activations);
  refuse_options_of_activations(options);
  return {"quantize-weights", std::move(options)};
}

Recipe quantize_recipe(std::map<std::string, OptionValue> options) {
  const Step quantization = quantization_step(std::move(options));
  const bool weights_only = quantization.pass == "quantize-weights";
  const Options complete = complete_options(find_pass(quantization.pass), quantization.options);
  const Scheme scheme = weights_only ? read_weight_scheme(complete) : read_static_scheme(complete);
  Recipe recipe;
  Recipe simplify = simplify_recipe();
  // Behind the last folding, which would make large constants of masks that lengths determine, and
  // before the last merges, as layers share such masks.
  const auto last_fold =
      std::find_if(simplify.steps.rbegin(), simplify.steps.rend(),
                   [](const Step& step) { return step.pass == "fold-constants"; });
  if (!weights_only && takes_products(complete) && last_fold != simplify.steps.rend()) {
    simplify.steps.insert(last_fold.base(),
                          {"expand-attention", {{"exclude", complete.values().at("exclude")}}});
  }
  for (Step& step : simplify.steps) {
    // Weights that a caller could override are taken for what they are: constants.
    if (step.pass == "drop-weight-inputs") step.options["all"] = true;
    const bool inlines = step.pass == "inline-functions";
    recipe.steps.push_back(std::move(step));
    // Halves become float32 before batch normalization and the like are folded.
    if (inlines) recipe.steps.push_back({"widen-halves", {}});
    if (inlines && !weights_only) recipe.steps.push_back({"widen-resize-axes", {}});
  }
  recipe.steps.push_back(
      {"raise-opset", {{"opset", scheme.least_versions().opset}}, /*implied=*/true});
  recipe.steps.push_back(quantization);
  recipe.steps.push_back({"drop-dead-code", {}});
  recipe.steps.push_back({"drop-notes", {}});
  return recipe;
}

PassRow quantize_verb_row() {
  PassRow row = find_pass("quantize-static");
  for (OptionSpec& spec : row.options) {
    if (spec.name != "activations") continue;
    spec.help += "; none: weights alone, no data";
    spec.choices.push_back("none");
  }
  return row;
}

bool needs_calibration(const Recipe& recipe) {
  return std::any_of(recipe.steps.begin(), recipe.steps.end(),
                     [](const Step& step) { return find_pass(step.pass).needs_calibration; });
}

bool is_quantizer(std::string_view pass) { return pass.starts_with("quantize-"); }

bool quantizes(const Recipe& recipe) {
  return std::ranges::any_of(recipe.steps, is_quantizer, &Step::pass);
}

ProvenResult run_without_data(Model& model, const Recipe& recipe, const ProofOptions& options,
                              Progress* progress, const MakeExecutor& executors) {
  if (options.max_drop) throw BadOption("max-drop needs data to count changed classes on");
  std::vector<Feed> feeds;
  ProvenResult result;
  if (!options.run) {
    result.unproven = "as asked";
  } else if (constant_bytes(model) > kMostRun) {
    result.unproven = "the model is too large to run for that";
  } else {
    try {
      const std::unique_ptr<Executor> executor = executors(model);
      for (uint64_t seed : {1, 2}) feeds.push_back({runnable_feeds(model, *executor, seed), {}});
    } catch (const Error& error) {
      result.unproven = error.what();
    }
  }
  if (result.unproven.empty()) {
    return run_and_prove(model, recipe, *dataset_from_feeds(std::move(feeds)), DataUse::kProve,
                         options, progress, executors);
  }
  const Model original = model.clone();
  PassContext context{nullptr, progress, &original, options.scratch, executors};
  run_guarded(model, recipe, /*with_classes=*/false, context, result);
  return result;
}

ProvenResult run_with_calibration(Model& model, const Recipe& recipe, Dataset& data,
                                  const ProofOptions& options, Progress* progress,
                                  const MakeExecutor& executors) {
  return run_and_prove(model, recipe, data, DataUse::kCalibrateAndProve, options, progress,
                       executors);
}

}  // namespace dwindle::passes
