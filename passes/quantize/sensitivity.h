// What rounding a value costs at the outputs of the model, where the SQNR of the value itself does
// not tell: a logarithm or a normalization behind it may live on its small elements.
#pragma once

#include <optional>
#include <vector>

#include "core/data/dataset.h"
#include "core/ir/model.h"
#include "core/runtime/executor.h"
#include "passes/quantize/plan.h"

namespace dwindle::passes {

struct SensitiveValue {
  const Value* value;  // with a scale of its own
  // What rounding this value alone leaves at the worst output; none where it costs most only beside
  // others.
  std::optional<double> alone_db;
};

struct Sensitivity {
  std::vector<SensitiveValue> values;  // to leave in float, the most harmful of a part first
  bool enough = true;                  // whether the outputs keep what they should, then
  // What rounding weights alone leaves at the worst output, where that is too little or so little
  // that it leaves no room for rounding values.
  std::optional<double> weights_db;
};

// Where the worst output of the model, quantized as planned, keeps less than `least_db` on `feeds`:
// the values to leave in float so that it keeps that much. Where weights alone take more off it,
// values are looked for that take several times as much. Values that cost little by themselves are
// none, however many there are: where all layers add the same noise, none of them is to blame.
// Neither is any where leaving them in float is no help: it takes less than half of the noise off
// and the output keeps too little all the same. `executors` run what FloatExecutor cannot. Raises
// Unsupported where they cannot either.
Sensitivity sensitive_values(const Model& model, const Plan& plan, const std::vector<Feed>& feeds,
                             double least_db, const MakeExecutor& executors = make_float_executor);

// The nodes of the placement that must stay in float so that `value` is not rounded.
std::vector<const Node*> rounding_nodes(const Plan& plan, const Value* value);

}  // namespace dwindle::passes
