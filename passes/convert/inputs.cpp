// Ops that took numbers as attributes and now take them as inputs.
//
// No row is needed for (the newer form holds the older): Constant, Gather, Concat, Flatten, ArgMax,
// Unique, … whose steps allow negative axes, more dtypes, or attributes with a default of what was
// so before; Reshape, whose allowzero is 0; Shape, whose slice is all; OneHot, whose negative
// indices count from the back in version 11, and Cast, whose table of infinities as float8 was
// mended in version 24: runtimes have always had both so.
#include "passes/convert/conversion.h"

namespace dwindle::passes {
namespace {

// Slice-10 takes all axes where none are given; Slice-1 as many as there are starts.
void slice_inputs(const NodeRaise& at) {
  const auto starts = at.node.ints_attribute("starts");
  if (!starts) refuse("it has no attribute 'starts'");
  if (at.node.attribute("axes") == nullptr) {
    std::vector<int64_t> axes(starts->size());
    for (size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<int64_t>(i);
    at.node.set_attribute("axes", std::move(axes));
  }
  at.ints_to_input("starts", 1);
  at.ints_to_input("ends", 2);
  at.ints_to_input("axes", 3);
}

void topk_input(const NodeRaise& at) {
  const int64_t k = at.node.int_attribute("k", 1);
  at.node.remove_attribute("k");
  at.node.set_input(1, at.ints("k", {k}));
}

void clip_inputs(const NodeRaise& at) {
  size_t index = 1;
  for (const char* name : {"min", "max"}) {
    if (at.node.attribute(name) != nullptr) {
      const float bound = at.node.float_attribute(name, 0);
      at.node.remove_attribute(name);
      at.node.set_input(index, at.scalar_like(name, bound, at.node.input(0)));
    }
    ++index;
  }
}

void pad_inputs(const NodeRaise& at) {
  const float value = at.node.float_attribute("value", 0);
  const bool constant = at.node.string_attribute("mode", "constant") == "constant";
  at.node.remove_attribute("value");
  at.ints_to_input("pads", 1);
  if (constant && value != 0) {
    at.node.set_input(2, at.scalar_like("value", value, at.node.input(0)));
  }
}

void axes_input(const NodeRaise& at) { at.ints_to_input("axes", 1); }

void split_input(const NodeRaise& at) { at.ints_to_input("split", 1); }

// Equal parts must now be asked for.
void split_count(const NodeRaise& at) {
  if (at.node.input(1) != nullptr) return;
  at.node.set_attribute("num_outputs", static_cast<int64_t>(at.node.num_outputs()));
}

// DFT-20 counts the axis from another default.
void dft_input(const NodeRaise& at) {
  const int64_t axis = at.node.int_attribute("axis", 1);
  at.node.remove_attribute("axis");
  at.node.set_input(2, at.constant("axis", Tensor::scalar(axis)));
}

}  // namespace

std::span<const Conversion> input_conversions() {
  static constexpr Conversion kConversions[] = {
      {"Slice", 10, slice_inputs}, {"TopK", 10, topk_input},    {"Clip", 11, clip_inputs},
      {"Pad", 11, pad_inputs},     {"Squeeze", 13, axes_input}, {"Unsqueeze", 13, axes_input},
      {"Split", 13, split_input},  {"Split", 18, split_count},  {"DFT", 20, dft_input},
  };
  return kConversions;
}

}  // namespace dwindle::passes
