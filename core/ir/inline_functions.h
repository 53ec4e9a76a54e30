// Puts the bodies of local functions where they are called (ONNX's FunctionProto).
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/ir/model.h"

namespace dwindle {

constexpr int64_t kMostInlinedNodes = 1'000'000;

struct InlineResult {
  int64_t calls = 0;               // calls replaced by their function's nodes
  std::vector<std::string> notes;  // what a person should know
  // Of nodes whose function imports another version of their operator set than the model: that one.
  std::unordered_map<const Node*, int64_t> versions;
};

// Replaces every call, nested graphs' and functions' own too, by copies of the function's nodes
// with fresh value names: attribute references take the call's attributes, else the function's
// defaults, else go. Then drops all functions and the operator sets that only they used. A function
// that imports another version of an operator set than the model is taken at ONNX's word: its ops
// must mean the same in both, or the caller heeds `versions`. Raises BadModel where functions call
// each other in a circle, and Unsupported where bodies and graph would come to more than
// kMostInlinedNodes nodes.
InlineResult inline_functions(Model& model);

}  // namespace dwindle
