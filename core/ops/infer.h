// Shape inference: what an op's row says of the types of its outputs before anything runs.
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "core/ir/model.h"

namespace dwindle {

// The elements of a small integer tensor (rank 0 or 1) as far as they are known before running:
// the product of Shape, Gather, Concat and the like. Known extents, named unknowns, unknowns.

struct Element {
  std::optional<int64_t> exact;
  std::string symbol;  // names an unknown extent, where not exact

  bool operator==(const Element&) const = default;
};
using Elements = std::vector<Element>;

// What one node's inference sees and says.
class InferContext {
 public:
  InferContext(const Node& node, int opset, std::unordered_map<const Value*, Elements>& elements)
      : node_(node), opset_(opset), elements_(elements) {}

  const Node& node() const { return node_; }
  int opset() const { return opset_; }

  bool has_input(size_t i) const { return node_.input(i) != nullptr; }
  DType dtype(size_t i) const;  // kUndefined where unknown or absent
  const std::optional<Shape>& shape(size_t i) const;
  std::optional<int64_t> rank(size_t i) const;
  // All extents known.
  std::optional<Dims> dims(size_t i) const;
  // The constant that input i always holds, or null.
  const Tensor* constant(size_t i) const;
  // Elements of an integer input of rank 0 or 1, as far as known; none where nothing is known.
  std::optional<Elements> elements(size_t i) const;
  // All elements exactly known, as integers.
  std::optional<std::vector<int64_t>> integers(size_t i) const;

  // Says the type of output i; does nothing where the node omits it.
  void set_output(size_t i, DType dtype, std::optional<Shape> shape);
  void set_output(size_t i, DType dtype) { set_output(i, dtype, std::nullopt); }
  void set_elements(size_t i, Elements elements);

  // Raises BadModel: "<op> node '<name>': <what>".
  [[noreturn]] void fail(const std::string& what) const;
  // An axis in [-rank, rank) as one in [0, rank). Raises BadModel where it is out of range.
  int64_t normalize_axis(int64_t axis, int64_t rank) const;

 private:
  const Node& node_;
  int opset_;
  std::unordered_map<const Value*, Elements>& elements_;
};

// The multidirectional broadcast of two shapes, as ONNX's Broadcasting.md defines it. Raises
// BadModel where they do not fit.
Shape broadcast_shapes(const InferContext& context, const Shape& a, const Shape& b);

// Infers types in the order of the nodes. What the file declares fills in what inference does not
// know; where both know and differ, shapes give way to what the nodes make, and another dtype is a
// BadModel.
class ShapeInference {
 public:
  explicit ShapeInference(Model& model) : model_(model) {}

  // The whole model, nested graphs included.
  void run();
  // One node whose inputs have been inferred.
  void infer(Node& node);
  // Elements of `value` where they are known.
  const Elements* elements(const Value* value) const;

 private:
  void run(Graph& graph);

  Model& model_;
  std::unordered_map<const Value*, Elements> elements_;
};

inline void infer_shapes(Model& model) { ShapeInference(model).run(); }

}  // namespace dwindle
