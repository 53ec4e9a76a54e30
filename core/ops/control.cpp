// Control flow: If, Loop, Scan, SequenceMap. The graphs run through KernelContext::run_graph.
#include <algorithm>

#include "core/ops/args.h"
#include "core/ops/families.h"
#include "core/ops/move.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

const Graph& graph_of(const KernelContext& c, const char* name) {
  const Graph* graph = c.node().graph_attribute(name);
  if (graph == nullptr) c.fail(std::string(name) + " is missing");
  return *graph;
}

bool truth(const KernelContext& c, const Tensor& tensor) {
  if (tensor.dtype() != DType::kBool || tensor.size() != 1) c.fail("a condition must be one bool");
  return tensor.bytes()[0] != std::byte{0};
}

// Slices that a graph made, one an iteration, put together along an axis.
class ScanOutput {
 public:
  void add(const KernelContext& c, Held slice) {
    if (slice.sequence) c.fail("a scan output is a sequence");
    slices_.push_back(std::move(slice.tensor));
  }

  // `declared` is the graph's output: without any slices, it alone says what they would be.
  Tensor joined(const KernelContext& c, const Value& declared, int64_t axis, bool reversed) {
    if (slices_.empty()) return empty(c, declared, axis);
    const Tensor& first = slices_[0];
    if (reversed) std::reverse(slices_.begin(), slices_.end());
    for (const Tensor& slice : slices_) {
      if (slice.shape() != first.shape() || slice.dtype() != first.dtype()) {
        c.fail("scan output '" + declared.name() + "' changes its shape between iterations");
      }
    }
    const auto count = static_cast<int64_t>(slices_.size());
    Dims shape = first.shape();
    const auto at = shape.begin() + c.normalize_axis(axis, first.rank() + 1);
    const auto split = at - shape.begin();
    shape.insert(at, count);
    Tensor out = Tensor::allocate(first.dtype(), shape);
    Dims dst_strides = row_major_strides(shape);
    const int64_t step = dst_strides[static_cast<size_t>(split)];
    dst_strides.erase(dst_strides.begin() + split);
    const size_t width = element_bytes(first.dtype());
    std::byte* to = out.mutable_bytes();
    for (size_t i = 0; i < slices_.size(); ++i) {
      copy_strided(
          {width, slices_[i].shape(), slices_[i].bytes(), row_major_strides(slices_[i].shape()),
           to + static_cast<int64_t>(i) * step * static_cast<int64_t>(width), dst_strides});
    }
    return out;
  }

 private:
  static Tensor empty(const KernelContext& c, const Value& declared, int64_t axis) {
    if (declared.type.dtype == DType::kUndefined) {
      c.unsupported("scan output '" + declared.name() + "' of no iterations and no declared type");
    }
    Dims shape;
    for (const Dim& dim : declared.type.shape.value_or(Shape())) {
      shape.push_back(std::max<int64_t>(dim.extent, 0));
    }
    const int64_t rank = static_cast<int64_t>(shape.size()) + 1;
    shape.insert(shape.begin() + c.normalize_axis(axis, rank), 0);
    return Tensor::allocate(declared.type.dtype, shape);
  }

  std::vector<Tensor> slices_;
};

// ---- If ----------------------------------------------------------------------------------------

void infer_if(InferContext& c) {
  const Graph* branches[] = {c.node().graph_attribute("then_branch"),
                             c.node().graph_attribute("else_branch")};
  for (size_t i = 0; i < c.node().num_outputs(); ++i) {
    DType dtype = DType::kUndefined;
    std::optional<Shape> shape;
    bool tensor = true;
    for (size_t b = 0; b < 2; ++b) {
      if (branches[b] == nullptr || i >= branches[b]->outputs().size()) {
        c.fail("a branch has fewer outputs than the node");
      }
      const ValueType& type = branches[b]->outputs()[i]->type;
      tensor = tensor && type.is_tensor();
      if (b == 0) {
        dtype = type.dtype;
        shape = type.shape;
        continue;
      }
      if (type.dtype != dtype) dtype = DType::kUndefined;
      if (!shape || !type.shape || shape->size() != type.shape->size()) {
        shape.reset();
        continue;
      }
      for (size_t k = 0; k < shape->size(); ++k) {
        if (!(*shape)[k].same((*type.shape)[k])) (*shape)[k] = {};
      }
    }
    if (tensor) c.set_output(i, dtype, std::move(shape));
  }
}

Kernel if_kernel(const Node&, int) {
  return [](KernelContext& c) {
    const bool then = truth(c, c.input(0));
    auto outputs = c.run_graph(graph_of(c, then ? "then_branch" : "else_branch"), {});
    if (outputs.size() != c.node().num_outputs()) c.fail("the branch has other outputs");
    for (size_t i = 0; i < outputs.size(); ++i) c.set_output(i, std::move(outputs[i]));
  };
}

// ---- Loop --------------------------------------------------------------------------------------

// Carried values keep their dtype but may change shape; scan outputs gain an axis.
void infer_loop(InferContext& c) {
  const Graph* body = c.node().graph_attribute("body");
  if (body == nullptr || body->outputs().size() != c.node().num_outputs() + 1) {
    c.fail("the body does not fit the node's outputs");
  }
  const size_t carried = c.node().num_inputs() < 2 ? 0 : c.node().num_inputs() - 2;
  for (size_t i = 0; i < c.node().num_outputs(); ++i) {
    const ValueType& type = body->outputs()[i + 1]->type;
    if (!type.is_tensor()) continue;
    if (i < carried) {
      c.set_output(i, c.dtype(i + 2) == DType::kUndefined ? type.dtype : c.dtype(i + 2));
      continue;
    }
    std::optional<Shape> shape = type.shape;
    if (shape) shape->insert(shape->begin(), Dim());
    c.set_output(i, type.dtype, std::move(shape));
  }
}

void loop(KernelContext& c) {
  const Graph& body = graph_of(c, "body");
  const size_t carried = c.num_inputs() < 2 ? 0 : c.num_inputs() - 2;
  if (body.inputs().size() != carried + 2 || body.outputs().size() < carried + 1 ||
      body.outputs().size() != c.node().num_outputs() + 1) {
    c.fail("the body does not fit the node's inputs and outputs");
  }
  int64_t trips = INT64_MAX;
  if (c.has_input(0)) {
    const auto given = to_int64s(c.input(0));
    if (given.size() != 1) c.fail("the trip count must be one number");
    trips = given[0];
  }
  bool going = !c.has_input(1) || truth(c, c.input(1));
  std::vector<Held> state;
  for (size_t i = 0; i < carried; ++i) state.push_back(c.held(i + 2));
  std::vector<ScanOutput> scans(body.outputs().size() - carried - 1);
  for (int64_t trip = 0; trip < trips && going; ++trip) {
    std::vector<Held> inputs = {Tensor::scalar(trip), Tensor::scalar(true)};
    for (Held& value : state) inputs.push_back(std::move(value));
    std::vector<Held> outputs = c.run_graph(body, std::move(inputs));
    going = truth(c, outputs[0].tensor);
    for (size_t i = 0; i < carried; ++i) state[i] = std::move(outputs[i + 1]);
    for (size_t i = 0; i < scans.size(); ++i) scans[i].add(c, std::move(outputs[carried + 1 + i]));
  }
  for (size_t i = 0; i < carried; ++i) c.set_output(i, std::move(state[i]));
  for (size_t i = 0; i < scans.size(); ++i) {
    if (!c.wants_output(carried + i)) continue;
    c.set_output(carried + i, scans[i].joined(c, *body.outputs()[carried + 1 + i], 0, false));
  }
}

Kernel loop_kernel(const Node&, int) { return loop; }

// ---- Scan --------------------------------------------------------------------------------------

// Lists of one number a scan input or output, all 0 where absent.
std::vector<int64_t> scan_list(const Node& node, const char* name, size_t count) {
  auto values = node.ints_attribute(name);
  if (!values) return std::vector<int64_t>(count, 0);
  if (values->size() != count) {
    throw BadModel("Scan node '" + node.name + "': " + name + " has the wrong length");
  }
  return *values;
}

// Slice number `at` along `axis`, the axis dropped.
Tensor slice_at(const Tensor& in, size_t axis, int64_t at) {
  StridedCopy copy;
  copy.width = element_bytes(in.dtype());
  copy.dims = in.shape();
  copy.src_strides = row_major_strides(in.shape());
  copy.src = in.bytes() + at * copy.src_strides[axis] * static_cast<int64_t>(copy.width);
  copy.dims.erase(copy.dims.begin() + static_cast<std::ptrdiff_t>(axis));
  copy.src_strides.erase(copy.src_strides.begin() + static_cast<std::ptrdiff_t>(axis));
  copy.dst_strides = row_major_strides(copy.dims);
  Tensor out = Tensor::allocate(in.dtype(), copy.dims);
  copy.dst = out.mutable_bytes();
  copy_strided(std::move(copy));
  return out;
}

// The state's shapes are those of the initial values; nothing else is inferred.
void infer_scan(InferContext& c) {
  const Graph* body = c.node().graph_attribute("body");
  if (body == nullptr || body->outputs().size() != c.node().num_outputs()) {
    c.fail("the body does not fit the node's outputs");
  }
  for (size_t i = 0; i < c.node().num_outputs(); ++i) {
    const ValueType& type = body->outputs()[i]->type;
    if (type.is_tensor()) c.set_output(i, type.dtype);
  }
}

void scan(KernelContext& c) {
  const Graph& body = graph_of(c, "body");
  const int64_t given = c.node().int_attribute("num_scan_inputs", 0);
  if (given < 1 || given > static_cast<int64_t>(c.num_inputs())) c.fail("num_scan_inputs");
  const auto scanned = static_cast<size_t>(given);
  const size_t carried = c.num_inputs() - scanned;
  if (body.inputs().size() != c.num_inputs() || body.outputs().size() < carried ||
      body.outputs().size() != c.node().num_outputs()) {
    c.fail("the body does not fit the node's inputs and outputs");
  }
  const size_t made = body.outputs().size() - carried;
  const auto in_axes = scan_list(c.node(), "scan_input_axes", scanned);
  const auto in_backwards = scan_list(c.node(), "scan_input_directions", scanned);
  const auto out_axes = scan_list(c.node(), "scan_output_axes", made);
  const auto out_backwards = scan_list(c.node(), "scan_output_directions", made);
  std::vector<Held> state;
  for (size_t i = 0; i < carried; ++i) state.push_back(c.input(i));
  std::vector<size_t> axes;
  int64_t length = 0;
  for (size_t i = 0; i < scanned; ++i) {
    const Tensor& in = c.input(carried + i);
    axes.push_back(static_cast<size_t>(c.normalize_axis(in_axes[i], in.rank())));
    if (i > 0 && in.shape()[axes[i]] != length) c.fail("the scan inputs differ in length");
    length = in.shape()[axes[i]];
  }
  std::vector<ScanOutput> scans(made);
  for (int64_t trip = 0; trip < length; ++trip) {
    std::vector<Held> inputs = std::move(state);
    for (size_t i = 0; i < scanned; ++i) {
      const int64_t at = in_backwards[i] != 0 ? length - 1 - trip : trip;
      inputs.push_back(slice_at(c.input(carried + i), axes[i], at));
    }
    std::vector<Held> outputs = c.run_graph(body, std::move(inputs));
    state.assign(std::make_move_iterator(outputs.begin()),
                 std::make_move_iterator(outputs.begin() + static_cast<std::ptrdiff_t>(carried)));
    for (size_t i = 0; i < made; ++i) scans[i].add(c, std::move(outputs[carried + i]));
  }
  for (size_t i = 0; i < carried; ++i) c.set_output(i, std::move(state[i]));
  for (size_t i = 0; i < made; ++i) {
    if (!c.wants_output(carried + i)) continue;
    c.set_output(carried + i, scans[i].joined(c, *body.outputs()[carried + i], out_axes[i],
                                              out_backwards[i] != 0));
  }
}

Kernel scan_kernel(const Node&, int) { return scan; }

// ---- SequenceMap -------------------------------------------------------------------------------

// Its outputs are sequences, whose types are left as they are.
void infer_sequence_map(InferContext&) {}

// Runs the body on each element of the first input; of the others, sequences give the element at
// the same place, tensors are the same each time.
void sequence_map(KernelContext& c) {
  const Graph& body = graph_of(c, "body");
  if (body.inputs().size() != c.num_inputs() || body.outputs().size() != c.node().num_outputs()) {
    c.fail("the body does not fit the node's inputs and outputs");
  }
  const size_t length = c.sequence(0).size();
  for (size_t i = 1; i < c.num_inputs(); ++i) {
    if (c.held(i).sequence && c.sequence(i).size() != length)
      c.fail("the sequences differ in length");
  }
  std::vector<std::vector<Tensor>> made(body.outputs().size());
  for (size_t at = 0; at < length; ++at) {
    std::vector<Held> inputs;
    for (size_t i = 0; i < c.num_inputs(); ++i) {
      inputs.push_back(c.held(i).sequence ? Held(c.sequence(i)[at]) : c.held(i));
    }
    std::vector<Held> outputs = c.run_graph(body, std::move(inputs));
    for (size_t i = 0; i < made.size(); ++i) {
      if (outputs[i].sequence) c.fail("the body makes a sequence");
      made[i].push_back(std::move(outputs[i].tensor));
    }
  }
  for (size_t i = 0; i < made.size(); ++i) {
    c.set_output(i, std::make_shared<const std::vector<Tensor>>(std::move(made[i])));
  }
}

Kernel sequence_map_kernel(const Node&, int) { return sequence_map; }

// Scan of opset 8 is another operator, with a batch axis; it has no row.
}  // namespace

std::span<const OpRow> control_ops() {
  static constexpr OpRow kRows[] = {
      {"", "If", 1, infer_if, if_kernel, 0, kHasGraphs, kNative},
      {"", "Loop", 1, infer_loop, loop_kernel, 0, kHasGraphs, kNative},
      {"", "Scan", 9, infer_scan, scan_kernel, 0, kHasGraphs, kNative},
      {"", "SequenceMap", 17, infer_sequence_map, sequence_map_kernel, 0, kHasGraphs, kNative},
  };
  return kRows;
}

}  // namespace dwindle
