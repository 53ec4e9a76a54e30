// Rewrites a float model as a plan says.
#pragma once

#include "core/ir/model.h"
#include "passes/quantize/insert_qdq.h"
#include "passes/quantize/plan.h"

namespace dwindle::passes {

// Makes the node read its weights from integers: through a DequantizeLinear, or, where it looks up
// rows of a table of bytes, by dequantizing only the rows that it looks up.
void write_weights(const PlannedWeights& planned, QdqInserter& inserter);

// The same numbers in float: each of the integers times its scale.
void write_rounded_weights(const PlannedWeights& planned, QdqInserter& inserter);

// Adds planned.lost_means to the bias behind the weights, in float, where there is one or room for
// one. Nodes in `kept` take no part.
void correct_bias(const PlannedWeights& planned, const KeptFloat& kept, QdqInserter& inserter);

struct RewriteOptions {
  bool integer_bias = true;
};

// Puts all pairs of `plan` in. Returns the number of Relus and Clips that saturation made
// superfluous, which go; those in `kept` stay.
int64_t rewrite(Model& model, const Plan& plan, const KeptFloat& kept,
                const RewriteOptions& options);

// Drops float weights and biases that nothing reads any more.
void drop_unread_initializers(Model& model);

}  // namespace dwindle::passes
