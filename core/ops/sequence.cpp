// Sequences of tensors: SequenceEmpty, SequenceConstruct, SequenceInsert, SequenceErase,
// SequenceAt, SequenceLength, SplitToSequence, ConcatFromSequence.
//
// A sequence holds handles of tensors, so making one from another copies no elements. Values of
// sequence types keep the type that the file gives them; what is known of the tensors in them is
// read off the nodes that made them.
#include <algorithm>

#include "core/ops/args.h"
#include "core/ops/families.h"
#include "core/ops/move.h"

namespace dwindle {
namespace {

// ---- What is known of a sequence's tensors -----------------------------------------------------

struct ElementType {
  DType dtype = DType::kUndefined;
  std::optional<Shape> shape;  // what the shapes of all have in common
};

// Nodes followed from a sequence back to where its tensors come from. Chains that are longer than
// written models have would make inference of all of them take quadratic time.
constexpr int kMostFollowed = 32;

std::optional<Shape> common_shape(const std::optional<Shape>& a, const std::optional<Shape>& b) {
  if (!a || !b || a->size() != b->size()) return std::nullopt;
  Shape shape = *a;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (!shape[i].same((*b)[i])) shape[i] = {};
  }
  return shape;
}

ElementType constructed_type(const Node& node) {
  ElementType type;
  for (size_t i = 0; i < node.num_inputs(); ++i) {
    if (node.input(i) == nullptr) continue;
    const ValueType& input = node.input(i)->type;
    if (input.dtype != DType::kUndefined) type.dtype = input.dtype;
    type.shape = i == 0 ? input.shape : common_shape(type.shape, input.shape);
  }
  return type;
}

bool drops_axis(const Node& split) {
  return split.input(1) == nullptr && split.int_attribute("keepdims", 1) == 0;
}

ElementType split_type(const Node& node) {
  if (node.input(0) == nullptr) return {};
  ElementType type{node.input(0)->type.dtype, node.input(0)->type.shape};
  if (!type.shape) return type;
  const auto rank = static_cast<int64_t>(type.shape->size());
  const int64_t axis = node.int_attribute("axis", 0);
  if (axis < -rank || axis >= rank) return {type.dtype, std::nullopt};
  const auto at = type.shape->begin() + (axis < 0 ? axis + rank : axis);
  if (drops_axis(node)) {
    type.shape->erase(at);
  } else {
    *at = node.input(1) == nullptr ? Dim(1) : Dim();
  }
  return type;
}

// The value in an enclosing or nested graph that `value` is one of the later states of; null where
// `value` is made otherwise.
const Value* earlier_state(const Value& value) {
  const Node& node = *value.producer();
  if (node.is("Identity") || node.is("SequenceErase")) return node.input(0);
  if (node.is("Loop")) {
    const size_t carried = value.output_index() + 2;
    return carried < node.num_inputs() ? node.input(carried) : nullptr;
  }
  if (!node.is("If")) return nullptr;
  const Graph* branch = node.graph_attribute("then_branch");
  if (branch == nullptr || value.output_index() >= branch->outputs().size()) return nullptr;
  return branch->outputs()[value.output_index()];
}

ElementType element_type(const Value* value) {
  bool same_shapes = true;
  for (int step = 0; step < kMostFollowed && value != nullptr; ++step) {
    const Node* node = value->producer();
    if (node == nullptr) break;
    ElementType type;
    if (node->is("SequenceConstruct")) {
      type = constructed_type(*node);
    } else if (node->is("SplitToSequence")) {
      type = split_type(*node);
    } else if (node->is("SequenceEmpty")) {
      const int64_t code = node->int_attribute("dtype", static_cast<int64_t>(DType::kFloat));
      if (is_known_dtype(static_cast<int32_t>(code))) type.dtype = static_cast<DType>(code);
    } else if (node->is("SequenceInsert") && node->input(1) != nullptr) {
      type.dtype = node->input(1)->type.dtype;
    } else {
      same_shapes = same_shapes && !node->is("Loop") && !node->is("If");
      value = earlier_state(*value);
      continue;
    }
    if (!same_shapes) type.shape.reset();
    return type;
  }
  return {};
}

// ---- Making sequences --------------------------------------------------------------------------

// Value types of outputs that are sequences are left as they are.
void infer_sequence(InferContext&) {}

void set_sequence(KernelContext& c, std::vector<Tensor> tensors) {
  c.set_output(0, std::make_shared<const std::vector<Tensor>>(std::move(tensors)));
}

Kernel empty_kernel(const Node&, int) {
  return [](KernelContext& c) { set_sequence(c, {}); };
}

void check_dtype(const KernelContext& c, const std::vector<Tensor>& tensors, DType dtype) {
  if (!tensors.empty() && tensors[0].dtype() != dtype) c.fail("the tensors differ in dtype");
}

Kernel construct_kernel(const Node&, int) {
  return [](KernelContext& c) {
    if (c.num_inputs() == 0) c.fail("there are no inputs");
    std::vector<Tensor> tensors;
    for (size_t i = 0; i < c.num_inputs(); ++i) {
      check_dtype(c, tensors, c.input(i).dtype());
      tensors.push_back(c.input(i));
    }
    set_sequence(c, std::move(tensors));
  };
}

// The place that input i names among `count`; those below 0 count from the end.
int64_t place(const KernelContext& c, size_t i, size_t count) {
  const auto given = to_int64s(c.input(i));
  if (given.size() != 1) c.fail("a position must be one number");
  const auto places = static_cast<int64_t>(count);
  if (given[0] < -places || given[0] >= places) {
    c.fail("position " + std::to_string(given[0]) + " is outside the sequence");
  }
  return given[0] < 0 ? given[0] + places : given[0];
}

Kernel insert_kernel(const Node&, int) {
  return [](KernelContext& c) {
    std::vector<Tensor> tensors = c.sequence(0);
    const auto count = static_cast<int64_t>(tensors.size());
    check_dtype(c, tensors, c.input(1).dtype());
    int64_t at = count;
    if (c.has_input(2)) {
      // Behind the last is a place too, and counting from the end is without it.
      const auto given = to_int64s(c.input(2));
      at = given.size() == 1 && given[0] == count ? count : place(c, 2, tensors.size());
    }
    tensors.insert(tensors.begin() + at, c.input(1));
    set_sequence(c, std::move(tensors));
  };
}

Kernel erase_kernel(const Node&, int) {
  return [](KernelContext& c) {
    std::vector<Tensor> tensors = c.sequence(0);
    if (tensors.empty()) c.fail("the sequence is empty");
    const auto last = static_cast<int64_t>(tensors.size()) - 1;
    tensors.erase(tensors.begin() + (c.has_input(1) ? place(c, 1, tensors.size()) : last));
    set_sequence(c, std::move(tensors));
  };
}

// ---- SequenceAt, SequenceLength ----------------------------------------------------------------

void infer_at(InferContext& c) {
  const Value* sequence = c.node().input(0);
  const Node* maker = sequence == nullptr ? nullptr : sequence->producer();
  const auto position = c.integers(1);
  if (maker != nullptr && maker->is("SequenceConstruct") && position && position->size() == 1) {
    int64_t at = (*position)[0];
    if (at < 0) at += static_cast<int64_t>(maker->num_inputs());
    // Null where it is out of range: the node may stand in a branch that is never taken.
    const Value* element = at < 0 ? nullptr : maker->input(static_cast<size_t>(at));
    if (element != nullptr) {
      return c.set_output(0, element->type.dtype, element->type.shape);
    }
  }
  ElementType type = element_type(sequence);
  c.set_output(0, type.dtype, std::move(type.shape));
}

Kernel at_kernel(const Node&, int) {
  return [](KernelContext& c) {
    const std::vector<Tensor>& tensors = c.sequence(0);
    c.set_output(0, tensors[static_cast<size_t>(place(c, 1, tensors.size()))]);
  };
}

void infer_length(InferContext& c) {
  const Value* sequence = c.node().input(0);
  const Node* maker = sequence == nullptr ? nullptr : sequence->producer();
  if (maker != nullptr && maker->is("SequenceConstruct")) {
    c.set_elements(0, {Element{static_cast<int64_t>(maker->num_inputs()), ""}});
  }
  c.set_output(0, DType::kInt64, Shape());
}

Kernel length_kernel(const Node&, int) {
  return [](KernelContext& c) {
    c.set_output(0, Tensor::scalar(static_cast<int64_t>(c.sequence(0).size())));
  };
}

// ---- SplitToSequence ---------------------------------------------------------------------------

std::vector<int64_t> parts_of(const KernelContext& c, int64_t extent) {
  if (!c.has_input(1)) return std::vector<int64_t>(static_cast<size_t>(extent), 1);
  std::vector<int64_t> parts = to_int64s(c.input(1));
  if (c.input(1).rank() > 1) c.fail("split must be a number or a list");
  if (c.input(1).rank() == 0) {
    const int64_t part = parts[0];
    if (part <= 0) c.fail("a part has no extent");
    parts.assign(static_cast<size_t>(extent / part), part);
    if (extent % part != 0) parts.push_back(extent % part);
    return parts;
  }
  int64_t left = extent;
  for (int64_t part : parts) {
    if (part < 0 || part > left) c.fail("the parts do not fit the input");
    left -= part;
  }
  if (left != 0) c.fail("the parts do not fit the input");
  return parts;
}

void split(KernelContext& c) {
  const Tensor& in = c.input(0);
  const auto axis =
      static_cast<size_t>(c.normalize_axis(c.node().int_attribute("axis", 0), in.rank()));
  const bool drop = drops_axis(c.node());
  const Dims strides = row_major_strides(in.shape());
  const size_t width = element_bytes(in.dtype());
  const std::byte* from = in.bytes();
  std::vector<Tensor> tensors;
  for (int64_t part : parts_of(c, in.shape()[axis])) {
    Dims shape = in.shape();
    Dims from_strides = strides;
    shape[axis] = part;
    if (drop) {
      shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
      from_strides.erase(from_strides.begin() + static_cast<std::ptrdiff_t>(axis));
    }
    Tensor out = Tensor::allocate(in.dtype(), shape);
    copy_strided({width, shape, from, from_strides, out.mutable_bytes(), row_major_strides(shape)});
    tensors.push_back(std::move(out));
    from += static_cast<size_t>(part * strides[axis]) * width;
  }
  set_sequence(c, std::move(tensors));
}

Kernel split_kernel(const Node&, int) { return any_dtype(split, 1u << 0); }

// ---- ConcatFromSequence ------------------------------------------------------------------------

template <typename Context>
size_t joined_axis(const Context& c, int64_t rank, bool stack) {
  if (c.node().attribute("axis") == nullptr) c.fail("axis is missing");
  return static_cast<size_t>(
      c.normalize_axis(c.node().int_attribute("axis", 0), rank + (stack ? 1 : 0)));
}

bool stacks(const Node& node) { return node.int_attribute("new_axis", 0) != 0; }

void infer_concat(InferContext& c) {
  ElementType type = element_type(c.node().input(0));
  if (type.shape) {
    const bool stack = stacks(c.node());
    const size_t axis = joined_axis(c, static_cast<int64_t>(type.shape->size()), stack);
    if (stack) type.shape->insert(type.shape->begin() + static_cast<std::ptrdiff_t>(axis), Dim());
    (*type.shape)[axis] = {};
  }
  c.set_output(0, type.dtype, std::move(type.shape));
}

void concat(KernelContext& c) {
  const std::vector<Tensor>& tensors = c.sequence(0);
  if (tensors.empty()) c.fail("the sequence is empty");
  const bool stack = stacks(c.node());
  const size_t axis = joined_axis(c, tensors[0].rank(), stack);
  // The shape of a part, with the axis along which they are joined.
  const auto part_shape = [&](const Tensor& tensor) {
    Dims shape = tensor.shape();
    if (stack) shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(axis), 1);
    return shape;
  };
  Dims shape = part_shape(tensors[0]);
  int64_t total = 0;
  for (const Tensor& tensor : tensors) {
    Dims part = part_shape(tensor);
    if (part.size() != shape.size()) c.fail("the tensors differ in rank");
    total += part[axis];
    part[axis] = shape[axis];
    if (part != shape) c.fail("the tensors differ in shape outside the axis");
    check_dtype(c, tensors, tensor.dtype());
  }
  shape[axis] = total;
  Tensor& out = c.output(0, tensors[0].dtype(), shape);
  const size_t width = element_bytes(out.dtype());
  const Dims strides = row_major_strides(shape);
  std::byte* to = out.mutable_bytes();
  for (const Tensor& tensor : tensors) {
    const Dims part = part_shape(tensor);
    copy_strided({width, part, tensor.bytes(), row_major_strides(part), to, strides});
    to += static_cast<size_t>(part[axis] * strides[axis]) * width;
  }
}

Kernel concat_kernel(const Node&, int) { return any_dtype(concat, 1u << 0); }

}  // namespace

std::span<const OpRow> sequence_ops() {
  static constexpr OpRow kRows[] = {
      {"", "SequenceEmpty", 11, infer_sequence, empty_kernel, 0, kNoTraits, kNative},
      {"", "SequenceConstruct", 11, infer_sequence, construct_kernel, 0, kNoTraits, kNative},
      {"", "SequenceInsert", 11, infer_sequence, insert_kernel, 0, kNoTraits, kNative},
      {"", "SequenceErase", 11, infer_sequence, erase_kernel, 0, kNoTraits, kNative},
      {"", "SequenceAt", 11, infer_at, at_kernel, 0, kNoTraits, kNative},
      {"", "SequenceLength", 11, infer_length, length_kernel, 0, kNoTraits, kNative},
      {"", "SplitToSequence", 11, infer_sequence, split_kernel, 0, kNoTraits, kNative},
      {"", "ConcatFromSequence", 11, infer_concat, concat_kernel, 0, kNoTraits, kNative},
  };
  return kRows;
}

}  // namespace dwindle
