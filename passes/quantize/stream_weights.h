// Weights alone, one after the other, with little memory however large they are.
#pragma once

#include "core/quant/weights.h"
#include "core/support/spill.h"
#include "passes/quantize/plan.h"

namespace dwindle::passes {

struct StreamedWeights {
  PlannedWeights planned;
  WeightLoss loss;
};

// What plan_weights() gives where the data input stays in float. Weights that come from external
// data are read slab by slab, and what comes out of them goes to `spill`, unless small; both are
// external data again when the model is saved. Raises as plan_weights() does, and IoError where the
// disk is full.
StreamedWeights stream_weights(const WeightSite& site, const WeightOptions& options,
                               const std::vector<double>& means, Spill& spill);

}  // namespace dwindle::passes
