// RandomNormal, RandomNormalLike and RandomUniform. Of RandomUniformLike, Bernoulli and Multinomial
// only what passes ask of a random op, no kernel: ONNX's tests of Bernoulli expect draws that
// nobody else can make.
//
// A node draws the same numbers in every run, from its `seed` or, without one, from its name: two
// models that hold the same node can then be compared with each other.
#include "core/support/random.h"

#include <bit>
#include <string>

#include "core/ops/families.h"
#include "core/ops/half.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

DType dtype_attribute(const Node& node, DType otherwise) {
  const int64_t dtype = node.int_attribute("dtype", static_cast<int64_t>(otherwise));
  if (dtype < 0 || dtype > INT32_MAX || !is_known_dtype(static_cast<int32_t>(dtype))) {
    throw BadModel(node.op_type + " node '" + node.name + "': dtype is not known");
  }
  return static_cast<DType>(dtype);
}

bool is_like(const Node& node) { return node.op_type.ends_with("Like"); }

DType drawn_dtype(const Node& node, DType like) {
  const DType otherwise = is_like(node) ? like : DType::kFloat;
  return dtype_attribute(node, otherwise);
}

std::optional<Dims> drawn_shape(const Node& node) { return node.ints_attribute("shape"); }

void infer_random(InferContext& c) {
  const DType dtype = drawn_dtype(c.node(), c.dtype(0));
  if (is_like(c.node())) return c.set_output(0, dtype, c.shape(0));
  const auto shape = drawn_shape(c.node());
  c.set_output(0, dtype, shape ? std::optional(to_shape(*shape)) : std::nullopt);
}

// FNV-1a.
uint64_t hash_of(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char letter : text) {
    hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3u;
  }
  return hash;
}

uint64_t seed_of(const Node& node) {
  if (node.attribute("seed") != nullptr) {
    return std::bit_cast<uint32_t>(node.float_attribute("seed", 0));
  }
  return hash_of(!node.name.empty() || node.output() == nullptr ? node.name
                                                                : node.output()->name());
}

template <typename T>
Tensor drawn(const Node& node, DType dtype, const Dims& shape) {
  const bool normal = node.op_type.starts_with("RandomNormal");
  const float base = normal ? node.float_attribute("mean", 0) : node.float_attribute("low", 0);
  const float scale =
      normal ? node.float_attribute("scale", 1) : node.float_attribute("high", 1) - base;
  Tensor tensor = Tensor::allocate(dtype, shape);
  T* out = tensor.mutable_data<T>();
  Random random(seed_of(node));
  for (int64_t i = 0; i < tensor.size(); ++i) {
    const double number = normal ? random.normal() : random.uniform();
    out[i] = static_cast<T>(static_cast<double>(base) + static_cast<double>(scale) * number);
  }
  return tensor;
}

Kernel random_kernel(const Node&, int) {
  return [](KernelContext& c) {
    const Node& node = c.node();
    const auto own = drawn_shape(node);
    if (!is_like(node) && !own) c.fail("it has no shape");
    const Dims& shape = is_like(node) ? c.input(0).shape() : *own;
    const DType dtype = drawn_dtype(node, is_like(node) ? c.input(0).dtype() : DType::kFloat);
    if (dtype == DType::kFloat) return c.set_output(0, drawn<float>(node, dtype, shape));
    if (dtype == DType::kDouble) return c.set_output(0, drawn<double>(node, dtype, shape));
    if (!is_half(dtype)) c.unsupported("random " + std::string(dtype_name(dtype)));
    c.set_output(0, float_to_half(drawn<float>(node, DType::kFloat, shape), dtype));
  };
}

void infer_bernoulli(InferContext& c) {
  c.set_output(0, dtype_attribute(c.node(), c.dtype(0)), c.shape(0));
}

void infer_multinomial(InferContext& c) {
  const Dim batch = c.shape(0) && c.shape(0)->size() == 2 ? c.shape(0)->front() : Dim();
  c.set_output(0, dtype_attribute(c.node(), DType::kInt32), Shape{batch, Dim()});
}

constexpr OpRow row(std::string_view type, int since, InferFunction infer, KernelFactory kernel) {
  return {"", type, since, infer, kernel, 0, kRandom, kNative};
}

}  // namespace

std::span<const OpRow> random_ops() {
  static constexpr OpRow kRows[] = {
      row("RandomNormal", 1, infer_random, random_kernel),
      row("RandomNormalLike", 1, infer_random, random_kernel),
      row("RandomUniform", 1, infer_random, random_kernel),
      row("RandomUniformLike", 1, infer_random, nullptr),
      row("Bernoulli", 15, infer_bernoulli, nullptr),
      row("Multinomial", 7, infer_multinomial, nullptr),
  };
  return kRows;
}

}  // namespace dwindle
