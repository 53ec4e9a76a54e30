// Optional, OptionalHasElement, OptionalGetElement.
//
// A value of an optional type holds what is in it, or nothing: between nodes, an empty one is like
// an input that is omitted.
#include "core/ops/families.h"

namespace dwindle {
namespace {

// The types of optional values are left as the file gives them.
void infer_optional(InferContext&) {}

Kernel optional_kernel(const Node&, int) {
  return [](KernelContext& c) { c.set_output(0, c.has_input(0) ? c.held(0) : Held()); };
}

void infer_has_element(InferContext& c) { c.set_output(0, DType::kBool, Shape{}); }

Kernel has_element_kernel(const Node&, int) {
  return [](KernelContext& c) { c.set_output(0, Tensor::scalar(c.has_input(0))); };
}

// The type of what the Optional in front was given; of a tensor, its own.
void infer_get_element(InferContext& c) {
  const Value* held = c.node().input(0);
  const Node* maker = held == nullptr ? nullptr : held->producer();
  if (maker != nullptr && maker->is("Optional") && maker->input(0) != nullptr) {
    held = maker->input(0);
  }
  if (held == nullptr || !held->type.is_tensor()) return;
  c.set_output(0, held->type.dtype, held->type.shape);
}

Kernel get_element_kernel(const Node&, int) {
  return [](KernelContext& c) {
    if (!c.has_input(0)) c.fail("the optional is empty");
    c.set_output(0, c.held(0));
  };
}

}  // namespace

std::span<const OpRow> optional_ops() {
  static constexpr OpRow kRows[] = {
      {"", "Optional", 15, infer_optional, optional_kernel, 0, kNoTraits, kNative},
      {"", "OptionalHasElement", 15, infer_has_element, has_element_kernel, 0, kNoTraits, kNative},
      {"", "OptionalGetElement", 15, infer_get_element, get_element_kernel, 0, kNoTraits, kNative},
  };
  return kRows;
}

}  // namespace dwindle
