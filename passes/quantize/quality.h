// Quality: a quantized model beside the float one it was made from, value by value.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/data/dataset.h"
#include "core/runtime/compare.h"

namespace dwindle::passes {

// What quantization costs at the output of one node.
struct NodeLoss {
  std::string node, op;
  double sqnr_db = 0;  // of its output
  // Less than its worst input has; none where its inputs are exact, or as good as that (100 dB).
  std::optional<double> lost_db = {};
  // Where the node computes in float: the node that its output is rounded for.
  std::string rounded_for = {};
};

struct Quality {
  std::vector<OutputAgreement> outputs;
  std::vector<NodeLoss> worst_nodes;  // most lost first
  int64_t samples = 0;
  bool random = false;  // the samples were drawn, as there was no data

  // The largest share of samples whose top class differs in some output; none where no output has
  // classes.
  std::optional<double> top1_drop() const;
};

// Runs the models on `feeds`, sample by sample where they can be split. Outputs are compared with
// those of `original`, values in between with those of `simplified`, the float model that was
// quantized: they belong together by their names. Keeps the `worst` nodes that lose most.
Quality measure_quality(const Model& original, const Model& simplified, const Model& quantized,
                        const std::vector<Feed>& feeds, size_t worst, Progress* progress,
                        const MakeExecutor& executors = make_float_executor);

}  // namespace dwindle::passes
