// What quantization passes ask of a model, and tell of it.
#pragma once

#include <string>

#include "core/ir/model.h"
#include "passes/pass.h"
#include "passes/quantize/placement.h"
#include "passes/quantize/scheme.h"

namespace dwindle::passes {

// The type of the first quantized op in the model, its nested graphs and functions: QuantizeLinear,
// DequantizeLinear, QLinear…, …Integer and their kin of other domains. Empty where there is none.
std::string quantized_op(const Model& model);

inline bool is_quantized(const Model& model) { return !quantized_op(model).empty(); }

// Raises BadModel where the model is quantized already.
void require_float(const Model& model);

// Raises Unsupported where the model's opset cannot hold what a scheme writes.
void require_opset(const Model& model, LeastVersions least);

// Raises Unsupported where raising `original` (may be null) to the opset of the scheme left the
// target without a kernel of an op.
void require_kernels(const Model& model, const Model* original, const Scheme& scheme);

// Notes it where the model is of an opset that came after the newest known one.
void tell_unknown_opset(const Model& model, PassResult& result);

inline constexpr char kNothingQuantized[] =
    "nothing is quantized: no node of this model is left for it";

// Counts the nodes left in float and notes the reason of each.
void report_islands(const Placement& placement, PassResult& result);

}  // namespace dwindle::passes
