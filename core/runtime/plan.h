// The prepared form of a graph that FloatExecutor runs: steps over numbered slots.
#pragma once

#include <memory>
#include <span>
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
  std::unordered_map<const Node*, int64_t> versions;  // of nodes out of functions: InlineResult
  std::unordered_map<const Graph*, std::unique_ptr<GraphPlan>> plans;
  std::unordered_set<const Value*> watched;
  Alterer alterer;
};

// The values of one run of one graph; captured values are found in the enclosing frames.
struct Frame {
  const GraphPlan* plan;
  Frame* parent;
  std::vector<Held> slots;
};

// One graph, prepared: its nodes in order, each with its kernel and the slots that it reads and
// writes; slots are cleared after their last use.
class GraphPlan {
 public:
  GraphPlan(const Graph& graph, PlanShared& shared);
  // Makes the kernels of all nodes, nested graphs' too. Raises Unsupported, BadModel.
  void prepare(const GraphPlan* parent);

  // `inputs` has one tensor or sequence a graph input. Returns one a graph output.
  std::vector<Held> run(std::vector<Held> inputs, Frame* parent) const;

  const Graph& graph() const { return graph_; }

 private:
  friend class StepContext;
  struct Source {
    int depth = 0;  // frames to go up
    int slot = -1;  // -1: an omitted input
  };
  struct Fusion;
  struct Step {
    const Node* node;
    Kernel kernel;
    bool half_via_float;
    std::vector<Source> inputs;
    std::vector<int> outputs;   // slots; -1: omitted
    std::vector<int> releases;  // slots not needed after this step
    // Its outputs are among the constants: it only runs where one of them is watched.
    bool constant = false;
    std::shared_ptr<const Fusion> fusion;  // where it may do the work of others
    int host = -1;                         // the step that may do its work
  };
  // One kernel for a step, its host, and steps around it (a Conv with the Pad in front and the
  // BatchNormalization and activation behind it, a QuantizeLinear with its DequantizeLinear, a
  // Sigmoid with the Mul by its input). It runs in the place of the host, unless a value between
  // them is watched.
  struct Fusion {
    Kernel kernel;
    const Node* first;
    const Node* last;
    std::vector<Source> inputs;  // the host's, but for input 0, which is that of the first
    std::vector<int> outputs;    // of the last
    std::vector<Value*> between;
  };

  int opset_of(const Node& node) const;
  Source source_of(const Value* value) const;
  void add_step(const Node& node, std::string& missing);
  // Runs a step on small constants once and for all.
  void fold_constant(Step& step, int opset);
  const Tensor* constant_of(const Value* value) const;
  void plan_releases();
  void fuse_steps();
  void fuse_conv(Step& conv);
  void fuse_round_trip(Step& quantize);
  void fuse_gate(Step& gate);
  // Lets `host` do the work of the step before it and of those behind it, in order.
  void fuse(Step& host, Kernel kernel, Step* before, const std::vector<Step*>& behind);
  Step* step_of(const Node* node);  // null for a node of another graph
  // The step that alone reads `value`, as its input 0, in this graph; null where there is none.
  Step* sole_reader(const Value* value);
  // The same, whichever of its inputs it is.
  Step* only_reader(const Value* value);
  // The Mul that alone reads the output of `gate`, and its input besides; null where there is none.
  Step* gate_product(const Step& gate);
  // The step of a Sigmoid or HardSigmoid that, with its gate_product, alone reads `value`.
  Step* sole_gate(const Value* value);
  bool is_watched(const Value* value) const;
  bool any_watched(std::span<Value* const> values) const;
  void run_step(const Step& step, Frame& frame) const;
  void compute(const Step& step, Frame& frame) const;
  void run_kernel(const Kernel& kernel, const Step& step, const std::vector<Source>& inputs,
                  const Node& last, const std::vector<int>& outputs, Frame& frame) const;
  void store(Frame& frame, int slot, const Value* value, Held held) const;

  const Graph& graph_;
  PlanShared& shared_;
  const GraphPlan* parent_ = nullptr;
  std::unordered_map<const Value*, int> slots_;
  std::unordered_map<int, Tensor> constants_;    // by slot
  std::unordered_map<const Node*, int> places_;  // of nodes in steps_
  std::vector<Step> steps_;
  std::vector<Source> outputs_;
};

}  // namespace dwindle
