// Ops that put elements in another order by axes: Transpose, DepthToSpace, SpaceToDepth.
#include <algorithm>
#include <numeric>

#include "core/ops/families.h"
#include "core/ops/move.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

// The dense tensor of shape `dims`, seen with its axes in the order of `perm`, to a fresh output.
void transpose(const Tensor& in, const Dims& dims, const std::vector<int64_t>& perm, Tensor& out) {
  const Dims strides = row_major_strides(dims);
  StridedCopy copy;
  copy.width = element_bytes(in.dtype());
  for (int64_t axis : perm) {
    copy.dims.push_back(dims[static_cast<size_t>(axis)]);
    copy.src_strides.push_back(strides[static_cast<size_t>(axis)]);
  }
  copy.src = in.bytes();
  copy.dst = out.mutable_bytes();
  copy.dst_strides = row_major_strides(copy.dims);
  copy_strided(std::move(copy));
}

// ---- Transpose ---------------------------------------------------------------------------------

template <typename Context>
std::vector<int64_t> permutation(const Context& c, int64_t rank) {
  auto perm = c.node().ints_attribute("perm");
  if (!perm) {
    perm.emplace(static_cast<size_t>(rank));
    std::iota(perm->rbegin(), perm->rend(), 0);
  }
  std::vector<int64_t> sorted = *perm;
  std::sort(sorted.begin(), sorted.end());
  bool fits = static_cast<int64_t>(sorted.size()) == rank;
  for (int64_t i = 0; fits && i < rank; ++i) fits = sorted[static_cast<size_t>(i)] == i;
  if (!fits) c.fail("perm " + to_string(*perm) + " is no order of the axes of the input");
  return *perm;
}

void infer_transpose(InferContext& c) {
  const auto& shape = c.shape(0);
  if (!shape) {
    const auto perm = c.node().ints_attribute("perm");
    return c.set_output(0, c.dtype(0), perm ? std::optional(Shape(perm->size())) : std::nullopt);
  }
  Shape out;
  for (int64_t axis : permutation(c, static_cast<int64_t>(shape->size()))) {
    out.push_back((*shape)[static_cast<size_t>(axis)]);
  }
  c.set_output(0, c.dtype(0), std::move(out));
}

// Whether the axes of more than one element keep their order: the bytes stay as they are.
bool keeps_order(const Dims& dims, const std::vector<int64_t>& perm) {
  int64_t last = -1;
  for (int64_t axis : perm) {
    if (dims[static_cast<size_t>(axis)] == 1) continue;
    if (axis < last) return false;
    last = axis;
  }
  return true;
}

Kernel transpose_kernel(const Node&, int) {
  return any_dtype(
      [](KernelContext& c) {
        const Tensor& in = c.input(0);
        const std::vector<int64_t> perm = permutation(c, in.rank());
        Dims shape;
        for (int64_t axis : perm) shape.push_back(in.shape()[static_cast<size_t>(axis)]);
        if (keeps_order(in.shape(), perm)) return c.set_output(0, in.reshaped(std::move(shape)));
        transpose(in, in.shape(), perm, c.output(0, in.dtype(), std::move(shape)));
      },
      1u << 0);
}

// ---- DepthToSpace, SpaceToDepth ----------------------------------------------------------------

template <typename Context>
int64_t block_size(const Context& c) {
  const int64_t block = c.node().int_attribute("blocksize", 0);
  if (block < 1 || block > (1 << 20)) c.fail("blocksize is out of range");
  return block;
}

// Whether channels are the outermost part of a depth (CRD) rather than the innermost (DCR).
bool is_crd(const Node& node) {
  const std::string mode = node.string_attribute("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") {
    throw BadModel(node.op_type + " node '" + node.name + "': mode '" + mode + "' is not known");
  }
  return mode == "CRD";
}

Dim times(const Dim& dim, int64_t factor) {
  int64_t extent = 0;
  if (!dim.known() || __builtin_mul_overflow(dim.extent, factor, &extent)) return {};
  return extent;
}

template <typename Context>
Dim divided(const Context& c, const Dim& dim, int64_t divisor) {
  if (!dim.known()) return {};
  if (dim.extent % divisor != 0) {
    c.fail("extent " + std::to_string(dim.extent) + " is no multiple of " +
           std::to_string(divisor));
  }
  return dim.extent / divisor;
}

template <typename Context>
Shape space_shape(const Context& c, const Shape& in) {
  if (in.size() != 4) c.fail("the input must have 4 axes");
  const int64_t block = block_size(c);
  return {in[0], divided(c, in[1], block * block), times(in[2], block), times(in[3], block)};
}

template <typename Context>
Shape depth_shape(const Context& c, const Shape& in) {
  if (in.size() != 4) c.fail("the input must have 4 axes");
  const int64_t block = block_size(c);
  return {in[0], times(in[1], block * block), divided(c, in[2], block), divided(c, in[3], block)};
}

void infer_depth_to_space(InferContext& c) {
  const auto& shape = c.shape(0);
  c.set_output(0, c.dtype(0), shape ? space_shape(c, *shape) : Shape(4));
}

Kernel depth_to_space_kernel(const Node& node, int) {
  return any_dtype(
      [crd = is_crd(node)](KernelContext& c) {
        const Tensor& in = c.input(0);
        const Dims out = to_dims(space_shape(c, to_shape(in.shape())));
        const int64_t b = block_size(c), n = out[0], depth = out[1];
        const int64_t h = in.shape()[2], w = in.shape()[3];
        Tensor& to = c.output(0, in.dtype(), out);
        if (crd) {
          transpose(in, {n, depth, b, b, h, w}, {0, 1, 4, 2, 5, 3}, to);
        } else {
          transpose(in, {n, b, b, depth, h, w}, {0, 3, 4, 1, 5, 2}, to);
        }
      },
      1u << 0);
}

void infer_space_to_depth(InferContext& c) {
  const auto& shape = c.shape(0);
  c.set_output(0, c.dtype(0), shape ? depth_shape(c, *shape) : Shape(4));
}

Kernel space_to_depth_kernel(const Node& node, int) {
  return any_dtype(
      [crd = is_crd(node)](KernelContext& c) {
        const Tensor& in = c.input(0);
        const Dims out = to_dims(depth_shape(c, to_shape(in.shape())));
        const int64_t b = block_size(c), n = out[0], depth = in.shape()[1];
        Tensor& to = c.output(0, in.dtype(), out);
        const Dims dims = {n, depth, out[2], b, out[3], b};
        const std::vector<int64_t> dcr = {0, 3, 5, 1, 2, 4}, channels_first = {0, 1, 3, 5, 2, 4};
        transpose(in, dims, crd ? channels_first : dcr, to);
      },
      1u << 0);
}

}  // namespace

std::span<const OpRow> transpose_ops() {
  static constexpr OpRow kRows[] = {
      {"", "Transpose", 1, infer_transpose, transpose_kernel, 0, kMovesData, kNative},
      {"", "DepthToSpace", 1, infer_depth_to_space, depth_to_space_kernel, 0, kMovesData, kNative},
      {"", "SpaceToDepth", 1, infer_space_to_depth, space_to_depth_kernel, 0, kMovesData, kNative},
  };
  return kRows;
}

}  // namespace dwindle
