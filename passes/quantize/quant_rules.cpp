#include "passes/quantize/quant_rules.h"

#include <string_view>
#include <unordered_map>

namespace dwindle::passes {
namespace {

constexpr uint32_t kFirst = 1u << 0;
constexpr uint32_t kFirstTwo = kFirst | 1u << 1;
constexpr uint32_t kAll = ~0u;

using enum QuantKind;

constexpr QuantRule kRules[] = {
    {"Conv", kWeighted, kFirst, 1, 2},
    {"ConvTranspose", kWeighted, kFirst, 1, 2},
    {"Gemm", kWeighted, kFirst, 1, 2},
    {"MatMul", kWeighted, kFirst, 1},

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
    {"DepthToSpace", kSharesRange, kFirst},
    {"SpaceToDepth", kSharesRange, kFirst},
};

}  // namespace

const QuantRule* quant_rule(const Node& node) {
  static const auto index = [] {
    std::unordered_map<std::string_view, const QuantRule*> rules;
    for (const QuantRule& rule : kRules) rules.emplace(rule.op, &rule);
    return rules;
  }();
  if (!node.domain.empty()) return nullptr;
  auto it = index.find(node.op_type);
  return it == index.end() ? nullptr : it->second;
}

int output_channel_axis(const Node& node, const Tensor& weights) {
  if (node.is("Conv")) return weights.rank() > 0 ? 0 : -1;
  if (node.is("ConvTranspose")) return weights.rank() > 1 ? 1 : -1;
  if (node.is("Gemm")) return node.int_attribute("transB", 0) != 0 ? 0 : 1;
  // The columns of a matrix; a stack of matrices (rank 3 and more) has other columns in each.
  return weights.rank() == 2 ? 1 : -1;
}

int reduced_data_axis(const Node& node) {
  if (node.is("Conv") || node.is("ConvTranspose")) return 1;
  return node.is("Gemm") && node.int_attribute("transA", 0) != 0 ? 0 : -1;
}

}  // namespace dwindle::passes
