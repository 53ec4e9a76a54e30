// What rounding the weights costs, node by node: all there is to tell of models that are not run.
#pragma once

#include <string>
#include <vector>

#include "core/ir/graph.h"
#include "core/quant/weights.h"

namespace dwindle::passes {

class WeightSqnr {
 public:
  void add(const Node& node, const WeightLoss& loss);

  // The SQNR of all weights together, and of the nodes where it is least, worst first; one line.
  std::string summary() const;

 private:
  struct NodeSqnr {
    std::string name;
    double db;
  };
  WeightLoss total_;
  std::vector<NodeSqnr> nodes_;
};

}  // namespace dwindle::passes
