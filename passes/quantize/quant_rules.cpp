#include "passes/quantize/quant_rules.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>

namespace dwindle::passes {
namespace {

constexpr uint32_t kNone = 0;
constexpr uint32_t kFirst = 1u << 0;
constexpr uint32_t kFirstTwo = kFirst | 1u << 1;
constexpr uint32_t kAll = ~0u;

using enum QuantKind;

constexpr QuantRule kRules[] = {
    {"Conv", kWeighted, kFirst, {1, -1}, 2},
    {"ConvTranspose", kWeighted, kFirst, {1, -1}, 2},
    {"Gemm", kWeighted, kFirst, {1, -1}, 2},
    {"MatMul", kWeighted, kFirst, {1, -1}},

    {"Gather", kHoldsWeights, kNone, {0, -1}},
    {"GatherElements", kHoldsWeights, kNone, {0, -1}},
    {"GatherND", kHoldsWeights, kNone, {0, -1}},
    {"Slice", kHoldsWeights, kNone, {0, -1}},
    {"Einsum", kHoldsWeights, kNone},
    {"LSTM", kHoldsWeights, kNone, {1, 2}},
    {"GRU", kHoldsWeights, kNone, {1, 2}},
    {"RNN", kHoldsWeights, kNone, {1, 2}},

    {"Add", kOwnRange, kFirstTwo},
    {"Mul", kOwnRange, kFirstTwo},
    {"AveragePool", kOwnRange, kFirst},
    {"GlobalAveragePool", kOwnRange, kFirst},
    {"Relu", kOwnRange, kFirst},
    {"Clip", kOwnRange, kFirst},
    {"LeakyRelu", kOwnRange, kFirst},
    {"PRelu", kOwnRange, kFirst},
    {"Sigmoid", kOwnRange, kFirst},
    {"HardSigmoid", kOwnRange, kFirst},
    {"HardSwish", kOwnRange, kFirst},
    {"Tanh", kOwnRange, kFirst},

    {"Concat", kSharesRange, kAll},
    {"MaxPool", kSharesRange, kFirst},
    {"GlobalMaxPool", kSharesRange, kFirst},
    {"Resize", kSharesRange, kFirst},
    {"Identity", kSharesRange, kFirst},
    {"Reshape", kSharesRange, kFirst},
    {"Flatten", kSharesRange, kFirst},
    {"Squeeze", kSharesRange, kFirst},
    {"Unsqueeze", kSharesRange, kFirst},
    {"Transpose", kSharesRange, kFirst},
    {"Slice", kSharesRange, kFirst},
    {"Split", kSharesRange, kFirst},
    {"Gather", kSharesRange, kFirst},
    {"Expand", kSharesRange, kFirst},
    {"Tile", kSharesRange, kFirst},
    {"Pad", kSharesRange, kFirst},
    {"Pad", kOwnRange, kFirst},
    {"DepthToSpace", kSharesRange, kFirst},
    {"SpaceToDepth", kSharesRange, kFirst},
};

bool is_constant(const Value* value) { return value != nullptr && value->constant() != nullptr; }

// Whether elements of another value than 0, which every range holds, come in.
bool pads_with_numbers(const Node& pad) {
  if (pad.string_attribute("mode", "constant") != "constant") return false;
  if (pad.input(2) == nullptr) return pad.float_attribute("value", 0.0f) != 0.0f;
  const Tensor* value = pad.input(2)->constant();
  return value == nullptr || value->size() != 1 || to_floats(*value)[0] != 0.0f;
}

bool is_table(const Value* value) { return is_constant(value) && value->constant()->rank() > 1; }

// The axis of the rows of a table [rows, elements], [1, rows, elements] or [rows, 1, elements]; -1
// for other shapes.
int axis_of_rows(const Dims& shape) {
  int rows = -1;
  for (int axis = 0; axis + 1 < static_cast<int>(shape.size()); ++axis) {
    if (shape[static_cast<size_t>(axis)] == 1) continue;
    if (rows >= 0) return -1;
    rows = axis;
  }
  return rows;
}

// Whether a Slice takes rows of a table, as many as a sequence has positions. What is cut along
// several axes is a mask, a grid of coordinates or a bias of scores, which rounding would ruin.
bool slices_rows(const Node& node) {
  if (!is_table(node.input(0)) || !is_constant(node.input(3))) return false;
  const Tensor& table = *node.input(0)->constant();
  const Tensor& axes = *node.input(3)->constant();
  const int rows = axis_of_rows(table.shape());
  if (rows < 0 || axes.size() != 1) return false;
  const int64_t axis = to_int64s(axes)[0];
  return (axis < 0 ? axis + table.rank() : axis) == rows &&
         std::ranges::none_of(node.output()->uses(),
                              [](const Use& use) { return use.node->is("Slice"); });
}

// Ops with two rules: a Gather looks up rows of a table where its first input is constant, else it
// moves data, and so does a Slice (of as many positions as a sequence has); a Pad only moves data
// where it pads with what is there already.
bool applies(const QuantRule& rule, const Node& node) {
  if (node.is("Gather")) return (rule.kind == kHoldsWeights) == is_constant(node.input(0));
  if (node.is("Pad")) return (rule.kind == kOwnRange) == pads_with_numbers(node);
  if (node.is("Slice")) return (rule.kind == kHoldsWeights) == slices_rows(node);
  if (node.is("GatherND") || node.is("GatherElements")) return is_table(node.input(0));
  return true;
}

// Axes of the ellipsis, which are in the output.
constexpr char kDots = '.';

// The labels of each axis of an operand of an Einsum; empty where that cannot be told.
std::string axis_labels(std::string_view term, int rank) {
  std::string labels(term);
  const size_t dots = labels.find("...");
  if (dots != std::string::npos) {
    const auto letters = static_cast<int>(labels.size()) - 3;
    labels.replace(dots, 3, static_cast<size_t>(std::max(0, rank - letters)), kDots);
  }
  return static_cast<int>(labels.size()) == rank ? labels : std::string();
}

// The first axis of operand `input` that indexes outputs, and the last that is summed over.
WeightAxes einsum_axes(const Node& node, int input, int rank) {
  std::string text = node.string_attribute("equation", "");
  std::erase(text, ' ');
  const size_t arrow = text.find("->");
  const std::string left = text.substr(0, arrow);
  size_t begin = 0;
  for (int i = 0; i < input && begin != std::string::npos; ++i) begin = left.find(',', begin) + 1;
  const std::string labels = axis_labels(
      std::string_view(left).substr(begin).substr(0, left.find(',', begin) - begin), rank);
  const auto in_output = [&](char label) {
    if (label == kDots) return true;
    if (arrow == std::string::npos) return std::ranges::count(left, label) == 1;
    return text.find(label, arrow) != std::string::npos;
  };
  WeightAxes axes;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto axis = static_cast<int>(i);
    if (!in_output(labels[i])) {
      axes.summed = axis;
    } else if (axes.channels < 0) {
      axes.channels = axis;
    }
  }
  return axes;
}

}  // namespace

const QuantRule* quant_rule(const Node& node) {
  static const auto index = [] {
    std::unordered_multimap<std::string_view, const QuantRule*> rules;
    for (const QuantRule& rule : kRules) rules.emplace(rule.op, &rule);
    return rules;
  }();
  if (!node.domain.empty()) return nullptr;
  const auto [first, last] = index.equal_range(node.op_type);
  for (auto it = first; it != last; ++it) {
    if (applies(*it->second, node)) return it->second;
  }
  return nullptr;
}

std::vector<int> stored_inputs(const Node& node) {
  std::vector<int> inputs;
  if (node.is("Einsum")) {
    for (int i = 0; i < static_cast<int>(node.num_inputs()); ++i) {
      const Value* value = node.input(static_cast<size_t>(i));
      const int rank = is_constant(value) ? value->constant()->rank() : 0;
      if (rank > 1 && weight_axes(node, i, rank).summed >= 0) inputs.push_back(i);
    }
    return inputs;
  }
  for (int input : quant_rule(node)->weight_inputs) {
    if (input >= 0) inputs.push_back(input);
  }
  const bool product = node.is("MatMul") || node.is("Gemm");
  if (product && !is_constant(node.input(1)) && is_constant(node.input(0))) return {0};
  return inputs;
}

WeightAxes weight_axes(const Node& node, int input, int rank) {
  if (node.is("Conv") && rank > 1) return {0, 1};
  if (node.is("ConvTranspose") && rank > 1) return {1, 0};
  if (node.is("Einsum")) return einsum_axes(node, input, rank);
  // A left operand has its channels in rows.
  if (node.is("Gemm") && rank == 2 && input == 0) {
    const int rows = node.int_attribute("transA", 0) != 0 ? 1 : 0;
    return {rows, 1 - rows};
  }
  if (node.is("MatMul") && rank >= 2 && input == 0) return {rank == 2 ? 0 : -1, rank - 1};
  if (node.is("Gemm") && rank == 2) {
    const int columns = node.int_attribute("transB", 0) != 0 ? 0 : 1;
    return {columns, 1 - columns};
  }
  // The columns of a matrix; a stack of matrices (rank 3 and more) has other columns in each.
  if (node.is("MatMul") && rank == 2) return {1, 0};
  if (node.is("MatMul") && rank > 2) return {-1, rank - 2};
  if (node.is("Gather") && rank > 1) {
    const auto given = static_cast<int>(node.int_attribute("axis", 0));
    const int axis = given < 0 ? given + rank : given;
    return {axis, axis == rank - 1 ? rank - 2 : rank - 1};
  }
  if ((node.is("GatherND") || node.is("GatherElements")) && rank > 1) return {0, rank - 1};
  if (node.is("Slice") && rank > 1) {
    return {axis_of_rows(node.input(0)->constant()->shape()), rank - 1};
  }
  // [directions, gates · hidden, inputs or hidden]
  const bool recurrent = node.is("LSTM") || node.is("GRU") || node.is("RNN");
  if (recurrent && input > 0 && rank == 3) return {1, 2};
  return {};
}

int reduced_data_axis(const Node& node) {
  if (node.is("Conv") || node.is("ConvTranspose")) return 1;
  return node.is("Gemm") && node.int_attribute("transA", 0) != 0 ? 0 : -1;
}

}  // namespace dwindle::passes
