// quantize-weights: weights as integers, behind a DequantizeLinear; activations and arithmetic stay
// in float. Needs no data, but corrects biases where there is some: for models too large to
// calibrate, for layers whose activations bear no rounding, and for storage.
//
// Weights are taken one after the other. Those of external data are read a slab at a time and given
// back to the system, and what comes out goes to a temporary file: the memory needed does not grow
// with the model. Does nothing where no weights can be quantized. Refuses a model that is quantized
// already. Handles nested graphs; bodies of local functions stay in float (inline-functions comes
// first in the usual recipe).
#include <fmt/format.h>

#include <algorithm>

#include "core/ops/infer.h"
#include "core/support/error.h"
#include "passes/quantize/calibrate.h"
#include "passes/quantize/passes.h"
#include "passes/quantize/quantized.h"
#include "passes/quantize/rewrite.h"
#include "passes/quantize/scheme.h"
#include "passes/quantize/selection.h"
#include "passes/quantize/stream_weights.h"
#include "passes/quantize/weight_notes.h"
#include "passes/quantize/weight_sqnr.h"

namespace dwindle::passes {
namespace {

class QuantizeWeights : public Pass {
 public:
  explicit QuantizeWeights(const Options& options)
      : options_(options), scheme_(read_weight_scheme(options)) {}

  PassResult run(Model& model, PassContext& context) override {
    require_float(model);
    infer_shapes(model);
    Selection selection = select_nodes(model, context.original, options_);
    PassResult result;
    result.notes = std::move(selection.notes);
    tell_unknown_opset(model, result);
    Placement placement = place_quantization(model, selection.kept, {.activations = false});
    if (placement.weights.empty()) {
      report_islands(placement, result);
      result.notes.push_back(kNothingQuantized);
      return result;
    }
    require_opset(model, scheme_.least_versions());
    require_kernels(model, context.original, scheme_);
    // Data is not needed; where it is there, it tells what rounding takes off the means.
    Statistics statistics;
    if (context.calibration != nullptr && options_.get<bool>("correct-bias")) {
      statistics = calibrate(model, placement, *context.calibration, {}, /*channel_means=*/true,
                             context.progress, context.executors);
      result.counts["calibration samples"] = statistics.samples;
    }
    int64_t quantized = 0;
    QdqInserter inserter;
    Spill spill(context.scratch);
    WeightSqnr sqnr;
    WeightNotes notes(scheme_.weights);
    for (size_t i = 0; i < placement.weights.size(); ++i) {
      if (context.progress != nullptr) {
        context.progress->update("quantizing weights", i, placement.weights.size());
      }
      const WeightSite& site = placement.weights[i];
      const auto means = statistics.means.find(site.node->input(0));
      const StreamedWeights streamed = stream_weights(
          site, scheme_.weights,
          means == statistics.means.end() ? std::vector<double>() : means->second.means(), spill);
      if (streamed.loss.sqnr_db() < scheme_.least_sqnr) {
        placement.islands.push_back(
            {site.node,
             fmt::format("only {:.1f} dB of its weights would be left", streamed.loss.sqnr_db())});
        continue;
      }
      ++quantized;
      sqnr.add(*site.node, streamed.loss);
      notes.add(site, streamed.planned.real.weights.shape(), streamed.planned.format);
      write_weights(streamed.planned, inserter);
      correct_bias(streamed.planned, selection.kept, inserter);
    }
    report_islands(placement, result);
    if (quantized == 0) {
      result.notes.push_back(kNothingQuantized);
      return result;
    }
    result.notes.push_back(sqnr.summary());
    std::ranges::move(notes.lines(), std::back_inserter(result.notes));
    drop_unread_initializers(model);
    model.ir_version = std::max(model.ir_version, scheme_.least_versions().ir);
    result.counts["weights quantized"] = quantized;
    result.changed = true;
    return result;
  }

 private:
  Options options_;
  Scheme scheme_;
};

std::vector<OptionSpec> quantize_weights_options() {
  std::vector<OptionSpec> specs = weight_option_specs();
  const std::vector<OptionSpec> more = selection_option_specs();
  // Two bits leave 5 to 9 dB of what is spread evenly or normally.
  specs.push_back(
      {"min-sqnr", 3.0, "weights that would keep less than this many dB stay in float", {}});
  specs.insert(specs.end(), more.begin(), more.end());
  return specs;
}

}  // namespace

PassRow quantize_weights_row() {
  return {
      "quantize-weights",
      "Quantize weights alone, to integers of 8, 4 or 2 bits, without data",
      quantize_weights_options(),
      [](const Options& options) -> std::unique_ptr<Pass> {
        return std::make_unique<QuantizeWeights>(options);
      },
      false,
  };
}

}  // namespace dwindle::passes
