#include "core/ops/integer_dot.h"

#include <algorithm>
#include <cmath>

#include "core/ops/broadcast.h"
#include "core/ops/dispatch.h"

namespace dwindle {
namespace {

using Bytes = TypeList<int8_t, uint8_t>;

}  // namespace

std::vector<int16_t> centred(const KernelContext& c, size_t x, size_t zero_point,
                             const Dims& zero_point_shape) {
  const Tensor& data = c.input(x);
  std::vector<int16_t> out(static_cast<size_t>(data.size()));
  dispatch(c, Bytes{}, data.dtype(), [&]<typename T>(TypeTag<T>) {
    const T* from = data.data<T>();
    if (!c.has_input(zero_point)) {
      std::copy_n(from, data.size(), out.begin());
      return;
    }
    if (c.input(zero_point).dtype() != data.dtype()) {
      c.fail("a zero point differs from its data in dtype");
    }
    const Tensor zeros = c.input(zero_point).reshaped(zero_point_shape);
    const Broadcast<2> loop(c, {&data.shape(), &zeros.shape()});
    if (element_count(loop.shape()) != data.size()) {
      c.fail("zero point " + to_string(c.input(zero_point).shape()) + " does not broadcast to " +
             to_string(data.shape()));
    }
    broadcast_binary(loop, from, zeros.data<T>(), out.data(),
                     [](T a, T b) { return static_cast<int16_t>(a - b); });
  });
  return out;
}

void dot_rows(const int16_t* a, const int16_t* b, int64_t m, int64_t n, int64_t k, int32_t* out,
              int64_t out_row) {
  for (int64_t i = 0; i < m; ++i) {
    const int16_t* __restrict x = a + i * k;
    for (int64_t j = 0; j < n; ++j) {
      const int16_t* __restrict y = b + j * k;
      // Unsigned, since signed sums must not overflow in C++.
      uint32_t sum = 0;
      for (int64_t l = 0; l < k; ++l) {
        sum += static_cast<uint32_t>(static_cast<int32_t>(x[l]) * static_cast<int32_t>(y[l]));
      }
      out[i * out_row + j] = static_cast<int32_t>(sum);
    }
  }
}

float single_scale(const KernelContext& c, size_t i) {
  const std::vector<float> values = to_floats(c.input(i));
  if (values.size() != 1) {
    c.unsupported("a scale of shape " + to_string(c.input(i).shape()) + " in this place");
  }
  return values[0];
}

Requantize::Requantize(const KernelContext& c, size_t scale, size_t zero_point)
    : dtype_(c.input(zero_point).dtype()), scale_(single_scale(c, scale)) {
  if (dtype_ != DType::kInt8 && dtype_ != DType::kUint8) {
    c.unsupported("an output of " + std::string(dtype_name(dtype_)));
  }
  const std::vector<int64_t> values = to_int64s(c.input(zero_point));
  if (values.size() != 1) c.unsupported("an output with more than one zero point");
  zero_point_ = static_cast<int32_t>(values[0]);
}

void Requantize::store(std::byte* out, int64_t at, int32_t sum, float multiplier) const {
  const int32_t least = dtype_ == DType::kInt8 ? -128 : 0;
  const float low = static_cast<float>(least - zero_point_);
  const float high = static_cast<float>(least + 255 - zero_point_);
  const float real = static_cast<float>(sum) * multiplier;
  const float clamped = real > low ? std::min(real, high) : low;
  out[at] = static_cast<std::byte>(static_cast<int32_t>(std::nearbyint(clamped)) + zero_point_);
}

}  // namespace dwindle
