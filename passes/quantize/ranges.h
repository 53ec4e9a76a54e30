// The range that the quantized form of each value represents.
#pragma once

#include <unordered_map>

#include "passes/quantize/calibrate.h"
#include "passes/quantize/placement.h"

namespace dwindle::passes {

// A value has the range of its source. The inputs and the output of a Concat get one range, so that
// joining them copies bytes, but only where that costs none of them more than a bit: where it
// would, the output alone spans them all. A Softmax between integers of 8 bits has steps of 1/256
// at least: ONNX Runtime's kernel overflows with finer ones, those of TFLite and CMSIS-NN have just
// these.
class RangeChooser {
 public:
  // Concats share one scale where the ranges are alike, or always (`joins_all`).
  RangeChooser(const Placement& placement, const Statistics& statistics, DType activations,
               bool joins_all = false);

  Range range(const Value* value) { return group(value).range; }

 private:
  struct Group {
    Range range;
    float narrowest;  // extent of the narrowest range that went into it
  };
  void join(const Node& concat);
  const Value* root(const Value* value);
  Group& group(const Value* value) { return groups_.at(root(value)); }

  const Placement& placement_;
  bool joins_all_;
  std::unordered_map<const Value*, Group> groups_;         // by root
  std::unordered_map<const Value*, const Value*> joined_;  // source to source, towards the root
};

}  // namespace dwindle::passes
