// What stays in float beside a Softmax that may be of one element.
#pragma once

#include "passes/quantize/placement.h"

namespace dwindle::passes {

// A Softmax with integers on both sides must not be of one element: ONNX Runtime 1.31 makes 0 of
// it, not 1. The nodes of `placement` to keep, beyond those in `kept`, so that it is not: the one
// before it where the Softmax alone reads what that makes, else those behind. With the reason.
KeptFloat beside_softmax_of_one(const Model& model, const Placement& placement,
                                const KeptFloat& kept);

}  // namespace dwindle::passes
