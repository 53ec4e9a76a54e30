#include "core/ops/half.h"

#include "core/support/threads.h"

namespace dwindle {
namespace {

constexpr int64_t kGrain = 1 << 16;

template <typename From, typename To, typename Convert>
Tensor converted(const Tensor& tensor, DType dtype, const Convert& convert) {
  Tensor out = Tensor::allocate(dtype, tensor.shape());
  const From* const all_from = tensor.data<From>();
  To* const all_to = out.mutable_data<To>();
  parallel_for(tensor.size(), kGrain, [&](int64_t begin, int64_t end) {
    const From* __restrict from = all_from;
    To* __restrict to = all_to;
    for (int64_t i = begin; i < end; ++i) to[i] = convert(from[i]);
  });
  return out;
}

}  // namespace

Tensor half_to_float(const Tensor& tensor) {
  const auto widen = [](auto value) { return to_float(value); };
  if (tensor.dtype() == DType::kFloat16) {
    return converted<Float16, float>(tensor, DType::kFloat, widen);
  }
  return converted<Bfloat16, float>(tensor, DType::kFloat, widen);
}

Tensor float_to_half(const Tensor& tensor, DType half) {
  if (half == DType::kFloat16) {
    return converted<float, Float16>(tensor, half, [](float value) { return to_float16(value); });
  }
  return converted<float, Bfloat16>(tensor, half, [](float value) { return to_bfloat16(value); });
}

}  // namespace dwindle
