#include "core/ops/matmul_shapes.h"

#include "core/ops/broadcast.h"

namespace dwindle {
namespace {

// For each index of `out` the index into `dims`, which broadcasts to it.
std::vector<int64_t> broadcast_indices(const Dims& dims, const Dims& out) {
  const int64_t count = element_count(out);
  std::vector<int64_t> indices(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i, index = 0, stride = 1;
    for (size_t axis = 0; axis < out.size(); ++axis) {
      const size_t o = out.size() - 1 - axis;
      const int64_t at = rest % out[o];
      rest /= out[o];
      if (axis >= dims.size()) continue;
      const int64_t extent = dims[dims.size() - 1 - axis];
      if (extent != 1) index += at * stride;
      stride *= extent;
    }
    indices[static_cast<size_t>(i)] = index;
  }
  return indices;
}

}  // namespace

MatMulShapes::MatMulShapes(const KernelContext& c, const Dims& a, const Dims& b) {
  if (a.empty() || b.empty()) c.fail("a scalar cannot be multiplied as a matrix");
  const Dims left = a.size() == 1 ? Dims{1, a[0]} : a;
  const Dims right = b.size() == 1 ? Dims{b[0], 1} : b;
  m = left[left.size() - 2];
  k = left.back();
  n = right.back();
  if (right[right.size() - 2] != k) {
    c.fail("shapes " + to_string(a) + " and " + to_string(b) + " do not multiply");
  }
  const Dims a_lead(left.begin(), left.end() - 2), b_lead(right.begin(), right.end() - 2);
  out = broadcast_dims(c, {&a_lead, &b_lead});
  batches = element_count(out);
  if (element_count(b_lead) == 1 && b_lead.size() <= a_lead.size()) {
    folded = true;
    m *= batches;
    batches = 1;
  } else {
    if (a_lead != out) a_index = broadcast_indices(a_lead, out);
    if (b_lead != out) b_index = broadcast_indices(b_lead, out);
  }
  if (a.size() > 1) out.push_back(a[a.size() - 2]);
  if (b.size() > 1) out.push_back(n);
}

std::optional<Shape> infer_matmul_shape(const InferContext& c, size_t a, size_t b) {
  if (!c.shape(a) || !c.shape(b)) return std::nullopt;
  Shape left = *c.shape(a), right = *c.shape(b);
  if (left.empty() || right.empty()) c.fail("a scalar cannot be multiplied as a matrix");
  const bool row = left.size() == 1, column = right.size() == 1;
  if (row) left.insert(left.begin(), Dim(1));
  if (column) right.push_back(Dim(1));
  const Dim inner = right[right.size() - 2];
  if (left.back().known() && inner.known() && left.back().extent != inner.extent) {
    c.fail("shapes " + to_string(*c.shape(a)) + " and " + to_string(*c.shape(b)) +
           " do not multiply");
  }
  Shape out = broadcast_shapes(c, Shape(left.begin(), left.end() - 2),
                               Shape(right.begin(), right.end() - 2));
  if (!row) out.push_back(left[left.size() - 2]);
  if (!column) out.push_back(right.back());
  return out;
}

}  // namespace dwindle
