// What the families of elementwise ops share: shape inference with the arithmetic of known
// elements, and the loop over one tensor.
#pragma once

#include <type_traits>

#include "core/kernels/unary_f32/unary_f32.h"
#include "core/ops/broadcast.h"
#include "core/ops/dispatch.h"
#include "core/ops/op.h"

namespace dwindle {

// Output 0 has the dtype and shape of input 0.
void infer_same(InferContext& c);
// Output 0 has the shape of input 0, of bools.
void infer_predicate(InferContext& c);
// The broadcast of all inputs; none where a rank is unknown.
std::optional<Shape> infer_broadcast(const InferContext& c);
// Output 0 has the broadcast shape of all inputs and the dtype of input 0.
void infer_broadcast_same(InferContext& c);

// Element by element, with one element standing for all where sizes differ; does nothing where
// neither input's elements are known or they are no integers.
using ElementFunction = Element (*)(const Element&, const Element&);
void infer_elements(InferContext& c, ElementFunction function);

// Input 0 element by element: `op(in, out, count)` over ranges from several threads. Op is made
// from the node once.
template <typename Op, typename List = FloatTypes>
Kernel unary_kernel(const Node& node, int) {
  return [op = Op(node)](KernelContext& c) {
    const Tensor& x = c.input(0);
    dispatch(c, List{}, x.dtype(), [&]<typename T>(TypeTag<T>) {
      const T* in = x.data<T>();
      T* out = c.output(0, x.dtype(), x.shape()).template mutable_data<T>();
      parallel_for(x.size(), kElementGrain,
                   [&](int64_t begin, int64_t end) { op(in + begin, out + begin, end - begin); });
    });
  };
}

// An Op for unary_kernel from a function of one element. Where it has a `kernel`, floats are left
// to that.
template <typename F>
struct PerElement : F {
  explicit PerElement(const Node& node) : F(node) {}
  template <typename T, typename R>
  void operator()(const T* __restrict in, R* __restrict out, int64_t count) const {
    const F f = *this;
    if constexpr (std::is_same_v<T, float> && requires { f.kernel(); }) {
      kernels::UnaryF32 args = f.kernel();
      args.x = in;
      args.count = count;
      args.y = out;
      kernels::unary_f32(args);
      return;
    }
    for (int64_t i = 0; i < count; ++i) out[i] = f.apply(in[i]);
  }
};

}  // namespace dwindle
