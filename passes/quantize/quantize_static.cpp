// quantize-static: int8 weights and activations with fixed scales, as QuantizeLinear /
// DequantizeLinear pairs (QDQ) that runtimes fuse into int8 kernels.
//
// Placement says which values get a pair; calibration data says which range each must represent;
// weights are rounded to their own scales, and what the rounding takes off the mean of each output
// channel is given back through the bias. Nodes that calibration does not reach, whose values are
// infinite, or whose own output would be lost in noise stay in float, and so do values whose
// rounding the outputs of the model do not bear. A Relu or Clip that saturation makes superfluous
// goes.
//
// Does nothing where no node can be quantized. Refuses a model that is quantized already. Nested
// graphs are quantized like the main one; bodies of local functions stay in float (inline-functions
// comes first in the usual recipe).
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "core/ops/infer.h"
#include "core/support/error.h"
#include "passes/node_names.h"
#include "passes/quantize/calib_cache.h"
#include "passes/quantize/node_sqnr.h"
#include "passes/quantize/passes.h"
#include "passes/quantize/quantized.h"
#include "passes/quantize/ranges.h"
#include "passes/quantize/rewrite.h"
#include "passes/quantize/scheme.h"
#include "passes/quantize/selection.h"
#include "passes/quantize/sensitivity.h"
#include "passes/quantize/targets.h"
#include "passes/quantize/weight_notes.h"

namespace dwindle::passes {
namespace {

// Each node is looked at by itself, which takes time; so few samples do.
constexpr ptrdiff_t kProbed = 2;

// Below, an infinity or NaN has come of numbers.
constexpr double kNothingLeft = -100;

std::string reason_of(const SensitiveValue& sensitive) {
  const std::string& name = sensitive.value->name();
  if (!sensitive.alone_db) {
    return fmt::format("rounding '{}' beside others costs most at the outputs", name);
  }
  if (*sensitive.alone_db < kNothingLeft) {
    return fmt::format("rounding '{}' alone makes infinities or NaN at the outputs", name);
  }
  return fmt::format("rounding '{}' alone leaves {:.1f} dB at the outputs", name,
                     *sensitive.alone_db);
}

class QuantizeStatic : public Pass {
 public:
  explicit QuantizeStatic(const Options& options)
      : options_(options), scheme_(read_static_scheme(options)) {}

  PassResult run(Model& model, PassContext& context) override {
    require_float(model);
    if (context.calibration == nullptr) {
      throw BadOption("quantize-static needs calibration data");
    }
    infer_shapes(model);
    Selection selection = select_nodes(model, context.original, options_);
    KeptFloat& kept = selection.kept;
    PassResult result;
    result.notes = std::move(selection.notes);
    tell_unknown_opset(model, result);

    Plan plan;
    plan.placement = place_quantization(model, kept, placement_options(model));
    plan.activations = scheme_.observer.dtype;
    plan.symmetric = scheme_.observer.symmetric;
    if (!plan.placement.values.empty() || !plan.placement.weights.empty()) {
      require_opset(model, scheme_.least_versions());
      require_kernels(model, context.original, scheme_);
      decide(model, plan, kept, context, result);
      report_islands(plan.placement, result);
      WeightNotes notes(scheme_.weights);
      for (const PlannedWeights& planned : plan.weights) {
        notes.add(planned.site, planned.real.weights.shape(), planned.format);
      }
      std::ranges::move(notes.lines(), std::back_inserter(result.notes));
      result.counts["clips removed"] =
          rewrite(model, plan, kept, {.integer_bias = scheme_.integer_bias});
      result.counts["values quantized"] = static_cast<int64_t>(plan.placement.values.size());
      result.counts["weights quantized"] = static_cast<int64_t>(plan.placement.weights.size());
      model.ir_version = std::max(model.ir_version, scheme_.least_versions().ir);
      result.changed = !plan.placement.values.empty() || !plan.placement.weights.empty();
    } else {
      report_islands(plan.placement, result);
    }
    if (!result.changed) result.notes.push_back(kNothingQuantized);
    return result;
  }

 private:
  PlacementOptions placement_options(const Model& model) const {
    const DType weights = scheme_.weights.dtype, data = scheme_.observer.dtype;
    const bool bytes = dtype_bits(data) == 8;
    return {.left_weights_as_data =
                bytes && dtype_bits(weights) == 8 && scheme_.weights.block_size == 0,
            .matmul_takes_weights = !(bytes && weights == DType::kInt2),
            .moves_integers = data == DType::kInt8 && model.opset() >= 21,
            .averages_keep_scale = scheme_.target->tflite};
  }

  // Calibrates, and fills in the plan; nodes that must stay in float come into `kept`.
  void decide(const Model& model, Plan& plan, KeptFloat& kept, const PassContext& context,
              PassResult& result) const {
    for (const WeightSite& site : plan.placement.weights) require_finite_parameters(site);
    const Statistics statistics = observe(model, plan.placement, context, result);
    result.counts["calibration samples"] = statistics.samples;
    RangeChooser ranges(plan.placement, statistics, plan.activations, scheme_.target->tflite);
    for (Value* value : plan.placement.values) {
      const Range range = ranges.range(value);
      plan.params[value] = choose_params(range.low, range.high, plan.activations, plan.symmetric);
    }
    // Weights of the nodes that stay in float for the sake of their data.
    StoredWeights stored;
    // Later placements are smaller than the first, so the parameters know all of their values.
    auto place = [&] {
      plan.placement = place_quantization(model, kept, placement_options(model), stored);
      plan_all_weights(plan, statistics);
    };
    keep_unusable(plan, statistics, kept, stored);
    place();
    const auto& some = statistics.some_samples;
    const std::vector<Feed> probed(some.begin(),
                                   some.begin() + std::min<ptrdiff_t>(kProbed, std::ssize(some)));
    if (scheme_.least_sqnr > 0 && !plan.placement.nodes.empty() &&
        keep_lossy(node_sqnr(model, plan, probed, context.executors), kept)) {
      place();
    }
    if (scheme_.least_output_sqnr > 0 &&
        keep_sensitive(model, plan, some, context.executors, kept, stored, result)) {
      place();
    }
  }

  bool keep_sensitive(const Model& model, const Plan& plan, const std::vector<Feed>& feeds,
                      const MakeExecutor& executors, KeptFloat& kept, StoredWeights& stored,
                      PassResult& result) const {
    Sensitivity found;
    try {
      found = sensitive_values(model, plan, feeds, scheme_.least_output_sqnr, executors);
    } catch (const Unsupported& error) {
      // Another executor ran the data, but not the model with values rounded.
      result.notes.push_back(std::string("min-output-sqnr has had no effect: ") + error.what());
      return false;
    }
    for (const SensitiveValue& sensitive : found.values) {
      for (const Node* node : rounding_nodes(plan, sensitive.value)) {
        kept.emplace(node, reason_of(sensitive));
        stored.insert(node);
      }
    }
    if (!found.enough) result.notes.push_back(advice(found));
    return !found.values.empty();
  }

  // What is left to try where leaving values in float does not give the outputs enough.
  std::string advice(const Sensitivity& found) const {
    const std::string in_vain = fmt::format(
        "no single activations left in float give all outputs the {:g} dB of "
        "min-output-sqnr: ",
        scheme_.least_output_sqnr);
    if (!found.weights_db) return in_vain + "activations of 16 bits or none keep more";
    const bool coarse = dtype_bits(scheme_.weights.dtype) < 8;
    const std::string weights =
        *found.weights_db < kNothingLeft
            ? "rounding the weights alone makes infinities or NaN"
            : fmt::format("rounding the weights alone leaves {:.1f}", *found.weights_db);
    return in_vain + weights + "; " +
           (coarse ? "weights of more bits or in smaller blocks"
                   : "layers left in float (exclude)") +
           " keep more";
  }

  Statistics observe(const Model& model, const Placement& placement, const PassContext& context,
                     PassResult& result) const {
    if (scheme_.calib_cache.empty()) {
      return calibrate(model, placement, *context.calibration, scheme_.observer,
                       scheme_.correct_bias, context.progress, context.executors);
    }
    CachedCalibration cached = calibrate_cached(
        scheme_.calib_cache, model, placement, *context.calibration, scheme_.observer,
        scheme_.correct_bias, context.progress, context.executors);
    result.notes.push_back(std::move(cached.note));
    return std::move(cached.statistics);
  }

  // Nodes that read or make a value without a range, and those that no sample reaches.
  static void keep_unusable(const Plan& plan, const Statistics& statistics, KeptFloat& kept,
                            StoredWeights& stored) {
    const Placement& placement = plan.placement;
    std::unordered_set<const Node*> unreached;
    auto keep = [&](const Node* node, const std::string& reason) {
      if (!kept.emplace(node, reason).second) return;
      if (reason == kNeverReached) {
        unreached.insert(node);
      } else if (!reason.starts_with(kHoldsNan)) {
        // ONNX Runtime 1.31 fuses weights of 8 bits with their product, in which NaN is lost.
        stored.insert(node);
      }
    };
    auto check_body = [&](const Node* node) {
      if (statistics.unreached.contains(node->graph())) keep(node, kNeverReached);
    };
    auto check_value = [&](const Node* node, const Value* value) {
      if (value == nullptr || !placement.quantizes(value)) return;
      auto found = statistics.unusable.find(placement.source(value));
      if (found != statistics.unusable.end()) keep(node, found->second);
    };
    for (const WeightSite& site : placement.weights) check_body(site.node);
    for (Node* node : placement.nodes) {
      check_body(node);
      for (const Value* input : node->inputs()) check_value(node, input);
      for (const Value* output : node->outputs()) check_value(node, output);
      check_value(node, fused_tail(node, KeptFloat())->output());
    }
    // Nothing that was measured speaks for rounding the weights of a node that no sample reaches,
    // unless another node reads them too.
    std::unordered_set<const Value*> measured;
    for (const WeightSite& site : placement.weights) {
      if (!unreached.contains(site.node)) measured.insert(site.weights());
    }
    for (const WeightSite& site : placement.weights) {
      if (measured.contains(site.weights()) && unreached.contains(site.node)) {
        stored.insert(site.node);
      }
    }
  }

  bool keep_lossy(const std::unordered_map<const Node*, double>& losses, KeptFloat& kept) const {
    bool any = false;
    for (const auto& [node, sqnr] : losses) {
      if (sqnr >= scheme_.least_sqnr) continue;
      any |= kept.emplace(node, fmt::format("only {:.1f} dB of its output would be left", sqnr))
                 .second;
    }
    return any;
  }

  void plan_all_weights(Plan& plan, const Statistics& statistics) const {
    plan.weights.clear();
    const auto& nodes = plan.placement.nodes;
    const std::unordered_set<const Node*> integer_nodes(nodes.begin(), nodes.end());
    for (const WeightSite& site : plan.placement.weights) {
      const Value* data = site.node->input(0);
      const bool in_integers = integer_nodes.contains(site.node);
      auto means = statistics.means.find(data);
      plan.weights.push_back(plan_weights(
          site, scheme_.weights, in_integers ? plan.params.at(data).scale : 0.0f,
          means != statistics.means.end() ? means->second.means() : std::vector<double>()));
    }
  }

  Options options_;
  Scheme scheme_;
};

std::vector<OptionSpec> quantize_static_options() {
  std::vector<OptionSpec> specs = weight_option_specs();
  for (auto&& more : {activation_option_specs(), selection_option_specs()}) {
    specs.insert(specs.end(), more.begin(), more.end());
  }
  return specs;
}

}  // namespace

PassRow quantize_static_row() {
  return {
      "quantize-static",
      "Quantize weights and activations to integers, with scales from calibration data",
      quantize_static_options(),
      [](const Options& options) -> std::unique_ptr<Pass> {
        return std::make_unique<QuantizeStatic>(options);
      },
      true,
  };
}

}  // namespace dwindle::passes
