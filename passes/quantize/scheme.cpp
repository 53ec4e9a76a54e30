#include "passes/quantize/scheme.h"

#include <algorithm>

#include "core/support/error.h"
#include "passes/quantize/targets.h"

namespace dwindle::passes {
namespace {

const std::string kByTarget = "auto";

// "uint8", "int4", …; float for kUndefined.
std::string name_of(DType dtype) {
  return dtype == DType::kUndefined ? "none" : std::string(dtype_name(dtype));
}

DType dtype_of(const std::string& name, const std::vector<DType>& choices) {
  const auto it = std::find_if(choices.begin(), choices.end(),
                               [&](DType dtype) { return name_of(dtype) == name; });
  return it == choices.end() ? DType::kUndefined : *it;
}

const std::vector<DType> kWeightDtypes = {DType::kInt8, DType::kInt4, DType::kInt2};
const std::vector<DType> kActivationDtypes = {DType::kUint8, DType::kInt8, DType::kUint16,
                                              DType::kInt16};

std::vector<std::string> with_auto(const std::vector<DType>& dtypes) {
  std::vector<std::string> names = {kByTarget};
  for (DType dtype : dtypes) names.push_back(name_of(dtype));
  return names;
}

[[noreturn]] void contradicts(const Target& target, const std::string& what,
                              const std::string& takes) {
  throw BadOption("target " + std::string(target.name) + " does not run " + what + "; it takes " +
                  takes + ". Leave the option out or choose another target");
}

std::string listed(const std::vector<DType>& dtypes) {
  std::string text;
  for (DType dtype : dtypes) text += (text.empty() ? "" : ", ") + name_of(dtype);
  return text;
}

// The dtype that the option names, or the target's own.
DType chosen(const Target& target, const std::string& kind, const std::string& option,
             const std::vector<DType>& choices, const std::vector<DType>& takes) {
  if (option == kByTarget) return takes.front();
  const DType dtype = dtype_of(option, choices);
  if (std::find(takes.begin(), takes.end(), dtype) == takes.end()) {
    contradicts(target, option + " " + kind, listed(takes));
  }
  return dtype;
}

bool asks_for_no(const Options& options, const char* flag) {
  return options.given(flag) && !options.get<bool>(flag);
}

void read_weights(const Options& options, const Target& target, Scheme& scheme) {
  WeightOptions& weights = scheme.weights;
  weights.dtype =
      chosen(target, "weights", options.get<std::string>("weights"), kWeightDtypes, target.weights);
  const std::string& range = options.get<std::string>("weight-range");
  // With 8 bits, clipping weights gains nothing that could be measured; with fewer it does.
  const bool mse = range == "mse" || (range == kByTarget && dtype_bits(weights.dtype) < 8);
  weights.range = mse ? WeightRange::kMse : WeightRange::kMinMax;
  weights.per_channel = target.per_channel && !options.get<bool>("per-tensor");
  weights.block_size = options.get<int64_t>("block-size");
  if (weights.block_size == 0) return;
  if (options.get<bool>("per-tensor")) {
    throw BadOption("per-tensor asks for one scale, block-size for many; give one of them");
  }
  if (!target.blocks) contradicts(target, "weights in blocks", "a scale a channel");
}

}  // namespace

LeastVersions Scheme::least_versions() const {
  if (weights.dtype == DType::kInt2) return {25, 12};
  const bool wide = activations && dtype_bits(observer.dtype) > 8;
  if (dtype_bits(weights.dtype) < 8 || weights.block_size > 0 || wide) return {21, 10};
  return {13, 7};
}

std::vector<OptionSpec> weight_option_specs() {
  return {
      {"target", std::string("onnxruntime"),
       "runtime that is to run the model (" + target_summaries() + ")", target_names()},
      {"weights", kByTarget, "integers that weights become", with_auto(kWeightDtypes)},
      {"weight-range",
       kByTarget,
       "how scales of weights follow from their values; auto: mse below 8 bits",
       {kByTarget, "minmax", "mse"}},
      {"per-tensor", false, "one scale for all output channels of a weight", {}},
      {"block-size",
       int64_t{0},
       "weights that share a scale along the summed axis; 0: all",
       {},
       {.least = 0}},
      {"correct-bias",
       true,
       "give back through biases what rounding weights takes off means, where data tells",
       {}},
      {"may-grow",
       false,
       "quantize even where the file becomes larger, for devices that compute in integers only",
       {}},
  };
}

std::vector<OptionSpec> activation_option_specs() {
  const ObserverOptions observer;
  return {
      {"activations", kByTarget, "integers that activations become", with_auto(kActivationDtypes)},
      {"symmetric-activations", false, "activations with the zero point in the middle", {}},
      {"calib-method",
       std::string("mse"),
       "how ranges follow from calibration data",
       {"minmax", "moving-average", "percentile", "entropy", "mse"}},
      {"percentile",
       observer.percentile,
       "share of values in % that a range of the percentile method holds on either side",
       {},
       {.least = 50, .most = 100, .above_least = true}},
      {"averaging-constant",
       observer.averaging_constant,
       "weight of the newest feed in the moving-average method",
       {},
       {.least = 0, .most = 1, .above_least = true}},
      {"calib-cache",
       std::string(),
       "JSON file that keeps the calibration and gives it back to the same model and data",
       {}},
      {"reduce-range",
       false,
       "8-bit weights of one bit less, for kernels whose 16-bit sums saturate; some targets imply "
       "it",
       {}},
      {"min-sqnr",
       6.0,
       "nodes whose own output would keep less than this many dB stay in float",
       {}},
      {"min-output-sqnr",
       20.0,
       "where outputs of the model would keep less than this many dB, the values that cost most of "
       "it stay in float; 0: none does",
       {}},
  };
}

Scheme read_weight_scheme(const Options& options) {
  Scheme scheme;
  const Target& target = find_target(options.get<std::string>("target"));
  scheme.target = &target;
  scheme.activations = false;
  chosen(target, "activations", "none", {}, target.activations);
  read_weights(options, target, scheme);
  scheme.least_sqnr = options.get<double>("min-sqnr");
  return scheme;
}

Scheme read_static_scheme(const Options& options) {
  Scheme scheme;
  const Target& target = find_target(options.get<std::string>("target"));
  scheme.target = &target;
  read_weights(options, target, scheme);
  ObserverOptions& observer = scheme.observer;
  const std::string& method = options.get<std::string>("calib-method");
  observer.method = calibration_method(method);
  for (const auto& [option, owner] : {std::pair{"percentile", CalibrationMethod::kPercentile},
                                      {"averaging-constant", CalibrationMethod::kMovingAverage}}) {
    if (!options.given(option) || observer.method == owner) continue;
    throw BadOption(std::string(option) + " has no effect with calib-method " + method);
  }
  if (scheme.weights.block_size > 0 && dtype_bits(scheme.weights.dtype) == 8) {
    throw BadOption(
        "no runtime multiplies 8-bit weights in blocks by quantized activations; give "
        "weights fewer bits, leave block-size out, or quantize weights alone "
        "(activations none)");
  }
  observer.percentile = options.get<double>("percentile");
  observer.averaging_constant = options.get<double>("averaging-constant");
  if (target.symmetric_activations && asks_for_no(options, "symmetric-activations")) {
    contradicts(target, "activations that are not symmetric", "symmetric ones");
  }
  observer.symmetric = target.symmetric_activations || options.get<bool>("symmetric-activations");
  std::string activations = options.get<std::string>("activations");
  // Symmetric ranges waste no zero point on signed integers.
  if (activations == kByTarget && observer.symmetric && target.takes(DType::kInt8)) {
    activations = "int8";
  }
  observer.dtype =
      chosen(target, "activations", activations, kActivationDtypes, target.activations);
  if (target.tflite && dtype_bits(observer.dtype) == 16) {
    if (asks_for_no(options, "symmetric-activations")) {
      contradicts(target, "activations of 16 bits that are not symmetric", "symmetric ones");
    }
    observer.symmetric = true;
  }
  const bool bytes = dtype_bits(scheme.weights.dtype) == 8;
  if (options.get<bool>("reduce-range") && !bytes) {
    throw BadOption("reduce-range takes a bit off weights of 8; with " +
                    name_of(scheme.weights.dtype) + " no sum saturates");
  }
  if (target.reduce_range && asks_for_no(options, "reduce-range")) {
    contradicts(target, "weights of 8 bits", "7, as its sums saturate");
  }
  // Where fewer bits do not do, layers have 8.
  scheme.weights.reduce_range = target.reduce_range || options.get<bool>("reduce-range");
  scheme.calib_cache = options.get<std::string>("calib-cache");
  scheme.integer_bias = target.integer_bias;
  scheme.correct_bias = options.get<bool>("correct-bias");
  scheme.least_sqnr = options.get<double>("min-sqnr");
  scheme.least_output_sqnr = options.get<double>("min-output-sqnr");
  return scheme;
}

}  // namespace dwindle::passes
