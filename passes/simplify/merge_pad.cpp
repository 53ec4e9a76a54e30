// merge-pad: merges a constant Pad into the Conv, AveragePool or MaxPool behind it.
//
// Exporters write asymmetric or `SAME` padding as a node of its own, which costs a copy of the
// activations; the layer pads as it reads.
//
// Exact cases only. Conv: zeros on the spatial axes. AveragePool: the same, where it counts its own
// padding or has none, and no ceil_mode. MaxPool: -inf, or zeros where the input is never
// negative, so that no padding ever wins. Merges nothing else; nor where the Pad crops, or a pool
// would have a window of padding alone.
//
// ONNX Runtime 1.31 merges zeros into any pool, whatever the pool takes padding for, and refuses
// the model where a window would be padding alone. Zeros in front of other pools therefore become
// -0.0, which it takes for no zeros.
#include <algorithm>
#include <cmath>

#include "core/ops/half.h"
#include "core/ops/pad.h"
#include "passes/simplify/rewrite.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

// What `node` pads with. None where that is not constant, or is outside the spatial axes.
std::optional<SpatialPadding> padding_of(const Model& model, const Node& node) {
  if (!is_op(model, node, "Pad", 2) || node.input(0) == nullptr) return std::nullopt;
  const auto& shape = node.input(0)->type.shape;
  if (!shape) return std::nullopt;
  return spatial_padding(node, opset_or_zero(model, node), shape->size(),
                         [](const Value* value) { return value->constant(); });
}

// Whether no element of `value` is below zero.
bool never_negative(const Value* value) {
  const Node* node = value == nullptr ? nullptr : value->producer();
  while (node != nullptr && (node->is("MaxPool") || node->is("AveragePool"))) {
    node = node->input(0) == nullptr ? nullptr : node->input(0)->producer();
  }
  if (node == nullptr) return false;
  for (const char* op : {"Relu", "Sigmoid", "HardSigmoid", "Softmax", "Abs", "Exp", "Sqrt"}) {
    if (node->is(op)) return true;
  }
  if (!node->is("Clip")) return false;
  if (node->attribute("min") != nullptr) return node->float_attribute("min", -1) >= 0;
  const Tensor* low = node->input(1) == nullptr ? nullptr : node->input(1)->constant();
  return low != nullptr && low->size() == 1 && to_floats(*low)[0] >= 0;
}

std::vector<int64_t> or_ones(std::optional<std::vector<int64_t>> given, size_t count) {
  return given ? std::move(*given) : std::vector<int64_t>(count, 1);
}

std::optional<std::vector<int64_t>> kernel_shape(const Node& layer) {
  if (auto given = layer.ints_attribute("kernel_shape")) return given;
  if (!layer.is("Conv") || layer.input(1) == nullptr) return std::nullopt;
  const auto& shape = layer.input(1)->type.shape;
  if (!shape || shape->size() < 3 || !all_known(*shape)) return std::nullopt;
  const Dims dims = to_dims(*shape);
  return std::vector<int64_t>(dims.begin() + 2, dims.end());
}

// The layer's own padding, all begins and then all ends, as numbers.
std::optional<std::vector<int64_t>> own_pads(const Node& layer, size_t count) {
  const std::string automatic = layer.string_attribute("auto_pad", "NOTSET");
  if (automatic == "NOTSET") {
    auto pads = layer.ints_attribute("pads").value_or(std::vector<int64_t>(2 * count, 0));
    return pads.size() == 2 * count ? std::optional(std::move(pads)) : std::nullopt;
  }
  std::vector<int64_t> pads(2 * count, 0);
  if (automatic == "VALID") return pads;
  const auto& shape = layer.input(0)->type.shape;
  const auto kernel = kernel_shape(layer);
  if (!shape || shape->size() != count + 2 || !kernel || kernel->size() != count) {
    return std::nullopt;
  }
  const auto strides = or_ones(layer.ints_attribute("strides"), count);
  const auto dilations = or_ones(layer.ints_attribute("dilations"), count);
  if (strides.size() != count || dilations.size() != count) return std::nullopt;
  for (size_t i = 0; i < count; ++i) {
    if (!(*shape)[i + 2].known() || strides[i] < 1) return std::nullopt;
    const int64_t extent = (*shape)[i + 2].extent;
    const int64_t outputs = (extent + strides[i] - 1) / strides[i];
    const int64_t reach = ((*kernel)[i] - 1) * dilations[i] + 1;
    const int64_t total = std::max<int64_t>((outputs - 1) * strides[i] + reach - extent, 0);
    pads[i] = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
    pads[i + count] = total - pads[i];
  }
  return pads;
}

bool all_zero(const std::vector<int64_t>& values) {
  return std::all_of(values.begin(), values.end(), [](int64_t value) { return value == 0; });
}

// Whether every window of a pool holds an element that is no padding.
bool windows_meet_input(const Node& pool, const std::vector<int64_t>& pads) {
  const auto kernel = pool.ints_attribute("kernel_shape");
  const auto dilations = pool.ints_attribute("dilations");
  if (!kernel || pool.int_attribute("ceil_mode", 0) != 0) return false;
  if (dilations) {
    for (int64_t dilation : *dilations) {
      if (dilation != 1) return false;
    }
  }
  for (size_t i = 0; i < pads.size(); ++i) {
    if (pads[i] >= (*kernel)[i % kernel->size()]) return false;
  }
  return true;
}

bool merges(const Node& layer, const SpatialPadding& padding, const Value& input,
            const std::vector<int64_t>& own, const std::vector<int64_t>& pads) {
  if (layer.is("Conv")) return padding.value == 0;
  if (!windows_meet_input(layer, pads)) return false;
  if (layer.is("AveragePool")) {
    return padding.value == 0 &&
           (layer.int_attribute("count_include_pad", 0) != 0 || all_zero(own));
  }
  // The second output numbers the elements of the padded input.
  if (layer.output(1) != nullptr) return false;
  return padding.value == -INFINITY || (padding.value == 0 && never_negative(&input));
}

bool merge(Model& model, Node& layer) {
  const bool known = is_op(model, layer, "Conv") || is_op(model, layer, "MaxPool") ||
                     is_op(model, layer, "AveragePool", 7);
  if (!known || layer.input(0) == nullptr) return false;
  Node* pad = layer.input(0)->producer();
  if (pad == nullptr || pad->graph() != layer.graph()) return false;
  const auto padding = padding_of(model, *pad);
  if (!padding) return false;
  const size_t count = padding->begin.size();
  const auto own = own_pads(layer, count);
  if (!own) return false;
  std::vector<int64_t> pads = *own;
  for (size_t i = 0; i < count; ++i) {
    pads[i] += padding->begin[i];
    pads[i + count] += padding->end[i];
  }
  if (!merges(layer, *padding, *pad->input(0), *own, pads)) return false;
  layer.set_input(0, pad->input(0));
  layer.remove_attribute("auto_pad");
  layer.set_attribute("pads", pads);
  if (layer.is("AveragePool")) layer.set_attribute("count_include_pad", int64_t{1});
  erase_if_unused(*pad);
  return true;
}

// Whether `pad` pads with 0, and not with -0.
bool pads_with_zeros(const Node& pad) {
  if (pad.string_attribute("mode", "constant") != "constant") return false;
  const Value* value = pad.input(2);
  if (value == nullptr) return true;
  if (value->constant() == nullptr || value->constant()->size() != 1) return false;
  const float number = to_floats(*value->constant())[0];
  return number == 0 && !std::signbit(number);
}

// Keeps ONNX Runtime from merging zeros into `pool`. Returns whether that took a change.
bool keep_apart(Model& model, Node& pool) {
  if (!is_op(model, pool, "MaxPool") && !is_op(model, pool, "AveragePool")) return false;
  Node* pad = pool.input(0) == nullptr ? nullptr : pool.input(0)->producer();
  if (pad != nullptr && is_op(model, *pad, "Cast")) pad = pad->input(0)->producer();
  if (pad == nullptr || !is_op(model, *pad, "Pad", 11) || pad->input(0) == nullptr) return false;
  const DType dtype = pad->input(0)->type.dtype;
  if ((dtype != DType::kFloat && !is_half(dtype)) || !pads_with_zeros(*pad)) return false;
  const Tensor zero = Tensor::scalar(-0.0f);
  pad->set_input(2, add_constant(model, *pad->graph(), pad->output()->name() + "_value",
                                 is_half(dtype) ? float_to_half(zero, dtype) : zero));
  return true;
}

struct MergePad : Pass {
  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    int64_t& merged = result.counts["merged"];
    for_each_node(*model.graph, [&](Node& node) {
      // A row of Pads goes one by one.
      while (merge(model, node)) ++merged;
      result.changed |= keep_apart(model, node);
    });
    result.changed |= merged > 0;
    return result;
  }
};

}  // namespace

std::unique_ptr<Pass> make_merge_pad(const Options&) { return std::make_unique<MergePad>(); }

}  // namespace dwindle::passes
