// The operator table: one row an op and opset range, with shape inference and float kernel.
#pragma once

#include <climits>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/ir/model.h"
#include "core/ops/infer.h"

namespace dwindle {

// The tensors of a value of a sequence type, in order. Shared and never changed.
using Sequence = std::shared_ptr<const std::vector<Tensor>>;

// What a value holds in a run: a tensor or a sequence. Neither: an omitted input.
struct Held {
  Held() = default;
  Held(Tensor held) : tensor(std::move(held)) {}      // NOLINT: kernels pass tensors on as they are
  Held(Sequence held) : sequence(std::move(held)) {}  // NOLINT: and sequences

  bool defined() const { return tensor.defined() || sequence != nullptr; }

  Tensor tensor;
  Sequence sequence;
};

// What a kernel sees while it runs: its inputs, a place for its outputs, its nested graphs.
class KernelContext {
 public:
  virtual ~KernelContext() = default;

  const Node& node() const { return *node_; }
  size_t num_inputs() const { return inputs_.size(); }
  bool has_input(size_t i) const { return i < inputs_.size() && inputs_[i]->defined(); }
  // Raises BadModel where a required input is omitted or is a sequence.
  const Tensor& input(size_t i) const;
  // Raises BadModel where input i is no sequence.
  const std::vector<Tensor>& sequence(size_t i) const;
  // Input i, whichever of the two it is. Raises BadModel where it is omitted.
  const Held& held(size_t i) const;
  bool wants_output(size_t i) const { return node_->output(i) != nullptr; }

  // A fresh tensor to write output i into.
  Tensor& output(size_t i, DType dtype, Dims shape);
  // An existing tensor or sequence as output i (bytes are shared, not copied).
  void set_output(size_t i, Held held);

  // Runs a graph in the node's attributes with `inputs` for its inputs; captured values are those
  // of the enclosing run. Returns its outputs.
  virtual std::vector<Held> run_graph(const Graph& graph, std::vector<Held> inputs) = 0;

  // Raises BadModel: "<op> node '<name>': <what>".
  [[noreturn]] void fail(const std::string& what) const;
  // Raises Unsupported: "<op> node '<name>': <what> is not supported".
  [[noreturn]] void unsupported(const std::string& what) const;
  int64_t normalize_axis(int64_t axis, int64_t rank) const;

 protected:
  const Node* node_ = nullptr;
  std::vector<const Held*> inputs_;  // undefined ones stand for omitted inputs
  std::vector<Held> outputs_;
};

// Computes one node. Made once a node, so attributes are read and constant weights are packed only
// once; called once a run. Must be safe to call from one thread at a time; uses parallel_for
// inside.
using Kernel = std::function<void(KernelContext&)>;
// Raises BadModel for impossible attributes, Unsupported for what the kernel does not do.
using KernelFactory = Kernel (*)(const Node& node, int opset);
using InferFunction = void (*)(InferContext&);

// How a kernel deals with float16 and bfloat16 tensors.
enum class HalfFloats {
  kViaFloat,  // the executor converts inputs to float and float outputs back (the default)
  kNative,    // the kernel takes any dtype as it is (data movement, Cast)
};
using enum HalfFloats;

// Facts of an op that passes ask for.
enum OpTraits : uint32_t {
  kNoTraits = 0,
  kElementwise = 1u << 0,  // one output element from the input elements at its place
  kMovesData = 1u << 1,    // output elements are input elements, none new (Reshape, Slice)
  kRandom = 1u << 2,       // differs from run to run: never folded, never merged
  kHasGraphs = 1u << 3,    // control flow
};

struct OpRow {
  std::string_view domain;  // "" is ai.onnx
  std::string_view type;
  int since;  // first opset in which the row is right
  InferFunction infer;
  KernelFactory kernel;
  uint32_t weight_inputs = 0;  // bit i: input i usually holds weights
  uint32_t traits = kNoTraits;
  HalfFloats half = kViaFloat;
};

// The row of an op: that with the greatest `since` not above `opset`; null where there is none.
// Local functions are not looked up here.
const OpRow* find_op(std::string_view domain, std::string_view type, int opset);

// All rows, by family.
std::span<const std::span<const OpRow>> op_families();

// Version of the operator set that `node` is in. Raises BadModel where the model imports none.
int opset_of(const Model& model, const Node& node);

}  // namespace dwindle
