// Reductions: axes became an input, in ReduceSum before the others. ArgMax and ArgMin keep theirs.
//
// Besides, what has been given up for integers: the logarithms of ReduceLogSum and ReduceLogSumExp,
// and Erf. What an integer one means was never said, so such a node is refused.
#include "passes/convert/conversion.h"

namespace dwindle::passes {
namespace {

void axes_input(const NodeRaise& at) { at.ints_to_input("axes", 1); }

void floats_only(const NodeRaise& at) {
  const DType dtype = at.node.input(0)->type.dtype;
  if (is_integer(dtype)) {
    refuse("it is of floating-point numbers there, '" + at.node.input(0)->name() + "' is " +
           std::string(dtype_name(dtype)));
  }
}

}  // namespace

std::span<const Conversion> reduction_conversions() {
  static constexpr Conversion kConversions[] = {
      {"Erf", 13, floats_only},
      {"ReduceSum", 13, axes_input},
      {"ReduceL1", 18, axes_input},
      {"ReduceL2", 18, axes_input},
      {"ReduceLogSum", 18, axes_input},
      {"ReduceLogSumExp", 18, axes_input},
      {"ReduceMax", 18, axes_input},
      {"ReduceMean", 18, axes_input},
      {"ReduceMin", 18, axes_input},
      {"ReduceProd", 18, axes_input},
      {"ReduceSumSquare", 18, axes_input},
      {"ReduceLogSum", 28, floats_only},
      {"ReduceLogSumExp", 28, floats_only},
  };
  return kConversions;
}

}  // namespace dwindle::passes
