// Normalizations, the softmax family and Dropout.
//
// No row is needed for LRN, InstanceNormalization and LpNormalization, whose steps are of dtypes
// and words alone.
#include <algorithm>

#include "passes/convert/conversion.h"

namespace dwindle::passes {
namespace {

// `value` in one axis.
Value* flat(const NodeRaise& at, Value* value) {
  if (value == nullptr) return nullptr;
  const Tensor* tensor = value->constant();
  if (tensor != nullptr) return at.constant("flat", tensor->reshaped({tensor->size()}));
  return at.before("Reshape", {value, at.ints("shape", {-1})})->output();
}

// BatchNormalization-7 with spatial = 0 has one mean an element of a sample: the same as one a
// channel where a sample's elements are all channels.
void batch_norm_spatial(const NodeRaise& at) {
  const bool spatial = at.node.int_attribute("spatial", 1) != 0;
  at.node.remove_attribute("spatial");
  if (spatial) return;
  if (at.node.num_outputs() > 1) refuse("the training mode");
  Value* input = at.node.input(0);
  Node* shape = at.before("Shape", {input});
  Node* flatten = at.before("Flatten", {input});
  flatten->set_attribute("axis", int64_t{1});
  at.node.set_input(0, flatten->output());
  for (size_t i = 1; i < at.node.num_inputs(); ++i) {
    at.node.set_input(i, flat(at, at.node.input(i)));
  }
  at.behind("Reshape", {shape->output()});
}

// Before version 14 it was trained wherever it listed more outputs than one. What their variance
// is of was not said.
void batch_norm_training(const NodeRaise& at) {
  for (size_t i = 1; i < at.node.num_outputs(); ++i) {
    if (at.node.output(i) != nullptr) refuse("the training mode");
  }
}

// From version 21 on, scale and bias have one number a channel; before, one a group.
void group_norm_channels(const NodeRaise& at) {
  const int64_t groups = at.node.int_attribute("num_groups", 0);
  if (groups <= 0) refuse("it has no attribute 'num_groups'");
  const auto& shape = at.node.input(0)->type.shape;
  Value* times = nullptr;  // [1, channels of a group]
  if (shape && shape->size() > 1 && (*shape)[1].known()) {
    times = at.ints("repeats", {1, (*shape)[1].extent / groups});
  } else {
    Node* extents = at.before("Shape", {at.node.input(0)});
    Value* one = at.ints("one", {1});
    Node* channels = at.before("Slice", {extents->output(), one, at.ints("two", {2})});
    Node* each = at.before("Div", {channels->output(), at.ints("groups", {groups})});
    Node* joined = at.before("Concat", {one, each->output()});
    joined->set_attribute("axis", int64_t{0});
    times = joined->output();
  }
  for (size_t i : {1, 2}) {
    Node* column = at.before("Reshape", {at.node.input(i), at.ints("column", {-1, 1})});
    Node* repeated = at.before("Expand", {column->output(), times});
    Node* row = at.before("Reshape", {repeated->output(), at.ints("row", {-1})});
    at.node.set_input(i, row->output());
  }
}

// Before version 13 all axes from `axis` on were one. Where that is the last axis alone, the newer
// op says the same; elsewhere Flatten and Reshape go round it.
void softmax_axis(const NodeRaise& at) {
  const int64_t axis = at.node.int_attribute("axis", 1);
  at.node.set_attribute("axis", int64_t{-1});
  Value* input = at.node.input(0);
  const auto& shape = input->type.shape;
  const auto rank = shape ? static_cast<int64_t>(shape->size()) : int64_t{-1};
  if (axis == -1 || (rank > 0 && axis == rank - 1)) return;
  // Of no elements nothing is computed, along whichever axis.
  if (shape && std::ranges::any_of(*shape, [](const Dim& dim) { return dim.extent == 0; })) return;
  Node* shape_of = at.before("Shape", {input});
  Node* flatten = at.before("Flatten", {input});
  flatten->set_attribute("axis", axis);
  at.node.set_input(0, flatten->output());
  Node* reshape = at.behind("Reshape", {shape_of->output()});
  // An axis without elements stays one, whatever Flatten made of the axes before it.
  if (at.target >= 14) reshape->set_attribute("allowzero", int64_t{1});
}

// In inference the ratio does not matter. The mask of what was kept was not filled then; before
// version 10 it was no bool either.
void dropout_ratio(const NodeRaise& at) {
  if (at.node.output(1) != nullptr) {
    if (!at.node.output(1)->unused()) refuse("its mask is used, which inference left undefined");
    at.node.drop_output(1);
  }
  at.node.remove_attribute("ratio");
}

// The axes have the same default as ever, but ONNX's checker expands the op by its definition, and
// that of version 13 reads the attribute.
void mean_variance_axes(const NodeRaise& at) {
  if (at.node.attribute("axes") != nullptr) return;
  at.node.set_attribute("axes", std::vector<int64_t>{0, 2, 3});
}

}  // namespace

std::span<const Conversion> norm_conversions() {
  static constexpr Conversion kConversions[] = {
      {"BatchNormalization", 9, batch_norm_spatial},
      {"BatchNormalization", 14, batch_norm_training},
      {"Dropout", 10, dropout_ratio},
      {"Dropout", 12, dropout_ratio},
      {"MeanVarianceNormalization", 13, mean_variance_axes},
      {"Softmax", 13, softmax_axis},
      {"LogSoftmax", 13, softmax_axis},
      {"Hardmax", 13, softmax_axis},
      {"GroupNormalization", 21, group_norm_channels},
  };
  return kConversions;
}

}  // namespace dwindle::passes
