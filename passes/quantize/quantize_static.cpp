// quantize-static: int8 weights and activations with fixed scales, as QuantizeLinear /
// DequantizeLinear pairs (QDQ) that runtimes fuse into int8 kernels.
//
// Placement says which values get a pair; calibration data says which range each must represent;
// weights are rounded to their own scales, and what the rounding takes off the mean of each output
// channel is given back through the bias. A Relu or Clip that saturation makes superfluous goes.
//
// Does nothing where no node can be quantized. Refuses a model that is quantized already. Nested
// graphs and local functions stay in float (inline-functions comes first in the usual recipe).
#include <algorithm>
#include <cmath>

#include "core/ops/infer.h"
#include "core/support/error.h"
#include "passes/quantize/calibrate.h"
#include "passes/quantize/exclude.h"
#include "passes/quantize/insert_qdq.h"
#include "passes/quantize/passes.h"
#include "passes/quantize/quantized.h"
#include "passes/quantize/ranges.h"
#include "passes/quantize/weights.h"

namespace dwindle::passes {
namespace {

// The first version of ai.onnx with scales per channel.
constexpr int kLeastOpset = 13;
constexpr int kLeastIrVersion = 7;

struct StaticOptions {
  ObserverOptions observer;
  WeightOptions weights;
  bool correct_bias = true;
  std::vector<std::string> exclude;
};

StaticOptions read_options(const Options& options) {
  StaticOptions read;
  read.observer.method = calibration_method(options.get<std::string>("calib-method"));
  if (options.given("percentile") && read.observer.method != CalibrationMethod::kPercentile) {
    throw BadOption("percentile has no effect with calib-method " +
                    options.get<std::string>("calib-method") +
                    "; it is for calib-method percentile");
  }
  read.observer.percentile = options.get<double>("percentile");
  read.observer.symmetric = options.get<bool>("symmetric-activations");
  read.observer.dtype = read.observer.symmetric ? DType::kInt8 : DType::kUint8;
  read.weights.per_channel = !options.get<bool>("per-tensor");
  read.correct_bias = options.get<bool>("correct-bias");
  read.exclude = options.get<std::vector<std::string>>("exclude");
  return read;
}

class QuantizeStatic : public Pass {
 public:
  explicit QuantizeStatic(const Options& options) : options_(read_options(options)) {}

  PassResult run(Model& model, PassContext& context) override {
    if (is_quantized(model)) {
      throw BadModel("the model is quantized already: it holds " + quantized_op(model) +
                     " nodes; quantize the float model it was made from");
    }
    if (context.calibration == nullptr) {
      throw BadOption("quantize-static needs calibration data");
    }
    infer_shapes(model);
    Excluded excluded = excluded_nodes(model, context.original, options_.exclude);
    const Placement placement =
        place_quantization(model, [&](const Node& node) { return excluded.nodes.contains(&node); });
    PassResult result;
    result.notes = std::move(excluded.notes);
    for (const Island& island : placement.islands) {
      result.notes.push_back("float: " + island.node->op_type + " '" + handle(*island.node) +
                             "': " + island.reason);
    }
    result.counts["nodes left in float"] = static_cast<int64_t>(placement.islands.size());
    if (placement.values.empty()) return result;

    require_finite_parameters(placement);
    const Statistics statistics =
        calibrate(model, placement, *context.calibration, options_.observer, options_.correct_bias,
                  context.progress);
    if (model.opset() < kLeastOpset) {
      throw Unsupported("quantizing a model of opset " + std::to_string(model.opset()) +
                        "; raise it to " + std::to_string(kLeastOpset) + " first (raise-opset)");
    }
    rewrite(model, placement, statistics, result);
    result.changed = true;
    result.counts["calibration samples"] = statistics.samples;
    return result;
  }

 private:
  void rewrite(Model& model, const Placement& placement, const Statistics& statistics,
               PassResult& result) {
    Graph& graph = *model.graph;
    std::unordered_map<const Value*, QuantParams> params;
    RangeChooser ranges(placement, statistics);
    for (Value* value : placement.values) {
      const Range range = ranges.range(value);
      params[value] = choose_params(range.low, range.high, options_.observer.dtype,
                                    options_.observer.symmetric);
    }
    QdqInserter inserter(graph);
    // Weights first: their nodes still read the float data whose statistics are known.
    for (Node* node : placement.weighted) {
      quantize_parameters(*node, placement, params, statistics, inserter);
    }
    int64_t clips = 0;
    for (Value* value : placement.values) {
      const QuantParams own = params.at(value);
      if (Value* unclipped = without_clip(graph, value, own)) {
        value = unclipped;
        ++clips;
      }
      inserter.quantize(value, own, options_.observer.dtype);
    }
    drop_unread_initializers(graph);
    graph.sweep();
    model.ir_version = std::max<int64_t>(model.ir_version, kLeastIrVersion);
    result.counts["values quantized"] = static_cast<int64_t>(placement.values.size());
    result.counts["weights quantized"] = static_cast<int64_t>(placement.weighted.size());
    result.counts["clips removed"] = clips;
  }

  void quantize_parameters(Node& node, const Placement& placement,
                           const std::unordered_map<const Value*, QuantParams>& params,
                           const Statistics& statistics, QdqInserter& inserter) {
    const QuantRule& rule = *quant_rule(node);
    const auto at = static_cast<size_t>(rule.weight_input);
    const Tensor* weights = node.input(at)->constant();
    if (weights == nullptr || placement.quantizes(node.input(at))) return;
    const float data_scale = params.at(node.input(0)).scale;
    auto means = statistics.means.find(node.input(0));
    const Scaled scaled = without_factors(node, *weights, bias_of(node, rule));
    const QuantizedWeights quantized = quantize_weights(
        node, scaled.weights, scaled.bias ? &*scaled.bias : nullptr, data_scale,
        means == statistics.means.end() ? std::vector<double>() : means->second.means(),
        options_.weights);
    const std::string name = node.input(at)->name();
    node.set_input(
        at, inserter.dequantized(name, quantized.weights, quantized.scales, quantized.axis, &node));
    if (scaled.bias) {
      set_bias(node, rule, *scaled.bias, quantized, data_scale, inserter);
    } else {
      correct_added_bias(node, quantized);
    }
  }

  // Before any data is run: a NaN in the weights would show up far behind them.
  static void require_finite_parameters(const Placement& placement) {
    for (const Node* node : placement.weighted) {
      const QuantRule& rule = *quant_rule(*node);
      for (int at : {rule.weight_input, rule.bias_input}) {
        const Value* value = at < 0 ? nullptr : node->input(static_cast<size_t>(at));
        const Tensor* constant = value == nullptr ? nullptr : value->constant();
        if (constant == nullptr || constant->dtype() != DType::kFloat) continue;
        require_finite(*node, *constant, at == rule.weight_input ? "weights" : "biases");
      }
    }
  }

  // Gemm's alpha and beta, multiplied into the constants that they scale.
  struct Scaled {
    Tensor weights;
    std::optional<Tensor> bias;
  };
  static Scaled without_factors(Node& node, const Tensor& weights, const Tensor* bias) {
    Scaled scaled{weights, bias == nullptr ? std::nullopt : std::optional(*bias)};
    if (!node.is("Gemm")) return scaled;
    auto multiply = [&](Tensor& tensor, const char* factor) {
      const float by = node.float_attribute(factor, 1.0f);
      if (by == 1.0f) return;
      float* values = tensor.mutable_data<float>();
      for (int64_t i = 0; i < tensor.size(); ++i) values[i] *= by;
      node.remove_attribute(factor);
    };
    // Without a constant bias, beta belongs to an operand that stays.
    multiply(scaled.weights, "alpha");
    if (scaled.bias) multiply(*scaled.bias, "beta");
    return scaled;
  }

  // Float weights and biases that nothing reads any more.
  static void drop_unread_initializers(Graph& graph) {
    for (Value* value : graph.initializers()) {
      if (value->unused() && !value->is_graph_input()) graph.erase(value);
    }
  }

  // The constant bias, one value an output channel; null where there is none of that form.
  static const Tensor* bias_of(const Node& node, const QuantRule& rule) {
    if (rule.bias_input < 0 || node.input(static_cast<size_t>(rule.bias_input)) == nullptr) {
      return nullptr;
    }
    const Tensor* bias = node.input(static_cast<size_t>(rule.bias_input))->constant();
    if (bias == nullptr || bias->dtype() != DType::kFloat || bias->rank() != 1) return nullptr;
    const Tensor* weights = node.input(static_cast<size_t>(rule.weight_input))->constant();
    const int axis = output_channel_axis(node, *weights);
    int64_t channels = axis < 0 ? 0 : weights->shape()[static_cast<size_t>(axis)];
    if (node.is("ConvTranspose")) channels *= node.int_attribute("group", 1);
    return bias->size() == channels ? bias : nullptr;
  }

  void set_bias(Node& node, const QuantRule& rule, const Tensor& bias,
                const QuantizedWeights& quantized, float data_scale, QdqInserter& inserter) {
    const auto at = static_cast<size_t>(rule.bias_input);
    std::vector<float> scales = quantized.scales;
    // The scales of grouped transposed convolutions repeat with each group.
    while (quantized.axis >= 0 && static_cast<int64_t>(scales.size()) < bias.size()) {
      scales.insert(scales.end(), quantized.scales.begin(), quantized.scales.end());
    }
    Tensor integers = quantize_bias(bias, quantized.lost_means, scales, data_scale);
    for (float& scale : scales) scale *= data_scale;
    node.set_input(at, inserter.dequantized(node.input(at)->name(), std::move(integers), scales,
                                            quantized.axis >= 0 ? 0 : -1, &node));
  }

  // A MatMul has its bias in an Add behind it, which stays in float.
  static void correct_added_bias(Node& node, const QuantizedWeights& quantized) {
    if (!node.is("MatMul") || quantized.lost_means.empty()) return;
    Node* tail = fused_tail(&node, [](const Node&) { return false; });
    if (tail == &node) return;
    Node* add = node.output()->uses().front().node;
    if (!add->is("Add")) return;
    const size_t at = add->input(0) == node.output() ? 1 : 0;
    const Tensor* bias = add->input(at)->constant();
    if (bias->size() != static_cast<int64_t>(quantized.lost_means.size())) return;
    Tensor corrected = *bias;
    float* values = corrected.mutable_data<float>();
    for (int64_t c = 0; c < corrected.size(); ++c) {
      values[c] += quantized.lost_means[static_cast<size_t>(c)];
    }
    add->set_input(at, node.graph()->add_initializer(add->input(at)->name(), std::move(corrected)));
  }

  // Where saturation to the quantized range cuts all that the Relu or Clip in front of `value`
  // cuts, that node goes; what it read takes over the name and is returned. Null where the node
  // stays.
  Value* without_clip(Graph& graph, Value* value, QuantParams params) const {
    Node* node = value->producer();
    if (node == nullptr || node->graph() != &graph) return nullptr;
    const std::optional<Range> bounds = clip_bounds(*node);
    const IntegerRange range = integer_range(options_.observer.dtype, options_.observer.symmetric);
    if (!bounds || dequantize(range.min, params) < bounds->low ||
        dequantize(range.max, params) > bounds->high) {
      return nullptr;
    }
    Value* input = node->input(0);
    const bool alone = input->uses().size() == 1 && !input->is_graph_output();
    if (!alone || input->producer() == nullptr || input->producer()->is("DequantizeLinear") ||
        !graph.can_replace(value, input)) {
      return nullptr;
    }
    const std::string name = value->name();
    graph.replace(value, input);
    graph.erase(node);
    if (input->name() != name) input->rename(name);
    return input;
  }

  // What a Relu or a Clip with constant bounds cuts to.
  static std::optional<Range> clip_bounds(const Node& node) {
    if (node.is("Relu")) return Range{0, HUGE_VALF};
    if (!node.is("Clip")) return std::nullopt;
    Range bounds{node.float_attribute("min", -HUGE_VALF), node.float_attribute("max", HUGE_VALF)};
    for (size_t i : {1, 2}) {
      if (node.input(i) == nullptr) continue;
      const Tensor* constant = node.input(i)->constant();
      if (constant == nullptr || constant->size() != 1) return std::nullopt;
      (i == 1 ? bounds.low : bounds.high) = to_floats(*constant)[0];
    }
    return bounds;
  }

  StaticOptions options_;
};

}  // namespace

PassRow quantize_static_row() {
  const ObserverOptions observer;
  return {
      "quantize-static",
      "Quantize weights and activations to int8 with scales from calibration data",
      {
          {"calib-method",
           std::string("mse"),
           "how ranges follow from calibration data",
           {"minmax", "percentile", "entropy", "mse"}},
          {"percentile",
           observer.percentile,
           "share of values in % that a range of the percentile method holds on either side",
           {}},
          {"per-tensor", false, "one scale for all output channels of a weight", {}},
          {"symmetric-activations", false, "int8 activations with zero point 0", {}},
          {"correct-bias",
           true,
           "give back through biases what rounding weights takes off means",
           {}},
          {"exclude",
           std::vector<std::string>{},
           "glob of names of nodes, as they are before or after simplify, to leave in float",
           {}},
      },
      [](const Options& options) -> std::unique_ptr<Pass> {
        return std::make_unique<QuantizeStatic>(options);
      },
      true,
  };
}

}  // namespace dwindle::passes
