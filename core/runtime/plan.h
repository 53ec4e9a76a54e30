// The prepared form of a graph that FloatExecutor runs: steps over numbered slots.
#pragma once

#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/ops/op.h"
#include "core/runtime/float_executor.h"

namespace dwindle {

class GraphPlan;

// What all graphs of one executor share.
struct PlanShared {
  const Model* model = nullptr;
  std::unordered_map<const Graph*, std::unique_ptr<GraphPlan>> plans;
  std::unordered_set<const Value*> watched;
  Alterer alterer;
};

// The values of one run of one graph; captured values are found in the enclosing frames.
struct Frame {
  const GraphPlan* plan;
  Frame* parent;
  std::vector<Tensor> slots;
};

// One graph, prepared: its nodes in order, each with its kernel and the slots that it reads and
// writes; slots are cleared after their last use.
class GraphPlan {
 public:
  GraphPlan(const Graph& graph, PlanShared& shared);
  // Makes the kernels of all nodes, nested graphs' too. Raises Unsupported, BadModel.
  void prepare(const GraphPlan* parent);

  // `inputs` has one tensor a graph input. Returns one a graph output.
  std::vector<Tensor> run(std::vector<Tensor> inputs, Frame* parent) const;

  const Graph& graph() const { return graph_; }

 private:
  friend class StepContext;
  struct Source {
    int depth = 0;  // frames to go up
    int slot = -1;  // -1: an omitted input
  };
  struct Step {
    const Node* node;
    Kernel kernel;
    bool half_via_float;
    std::vector<Source> inputs;
    std::vector<int> outputs;   // slots; -1: omitted
    std::vector<int> releases;  // slots not needed after this step
    // Where one kernel does this step and a later one (a Conv with the Relu or Clip behind it, a
    // QuantizeLinear with its DequantizeLinear): that step, and the kernel.
    int fused = -1;
    Kernel fused_kernel;
    // Of that later step: the value between the two, which is only made where it is watched.
    const Value* between = nullptr;
  };

  Source source_of(const Value* value) const;
  void add_step(const Node& node, std::string& missing);
  void plan_releases();
  void fuse_steps();
  bool is_watched(const Value* value) const;
  void run_step(const Step& step, Frame& frame) const;
  void compute(const Step& step, Frame& frame) const;
  void store(Frame& frame, int slot, const Value* value, Tensor tensor) const;

  const Graph& graph_;
  PlanShared& shared_;
  const GraphPlan* parent_ = nullptr;
  std::unordered_map<const Value*, int> slots_;
  std::vector<std::pair<int, Tensor>> constants_;
  std::vector<Step> steps_;
  std::vector<Source> outputs_;
};

}  // namespace dwindle
