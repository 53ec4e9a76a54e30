#include "core/quant/weight_slabs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "core/support/threads.h"
#include "tests/support/random_weights.h"

namespace dwindle {
namespace {

using testing::random_weights;

std::string bytes_of(const Tensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.bytes()), tensor.nbytes()};
}

// Parts one after the other are the whole, byte for byte.
TEST(WeightSlabs, GiveWhatTheWholeGives) {
  unsigned seed = 0;
  for (const Dims& shape : {Dims{64, 48}, Dims{70, 13}, Dims{3, 40, 9}, Dims{33, 5, 3, 3},
                            Dims{1, 96, 7}, Dims{500}, Dims{1, 1}}) {
    for (DType dtype : {DType::kInt8, DType::kInt4, DType::kInt2}) {
      for (int axis = -1; axis < static_cast<int>(shape.size()); ++axis) {
        for (int64_t block : {0, 3, 8, 32}) {
          if (axis < 0 && block > 0) continue;
          const WeightFormat format{dtype, WeightRange::kMse, axis, block};
          const Tensor weights = random_weights(shape, ++seed);
          WeightLoss loss, loss_of_parts;
          const QuantizedWeights whole = quantized_weights(weights, format, &loss);
          std::string integers, scales;
          int64_t next = 0;
          for (const WeightSlab& slab : weight_slabs(shape, format, 100)) {
            EXPECT_EQ(slab.first, next);
            EXPECT_EQ(element_count(slab.shape), slab.size);
            next += slab.size;
            const Tensor part = Tensor::borrow(DType::kFloat, slab.shape,
                                               weights.data<float>() + slab.first, weights.owner());
            const QuantizedWeights own = quantized_weights(part, slab.format, &loss_of_parts);
            integers += bytes_of(own.integers);
            scales += bytes_of(own.scales);
          }
          const std::string where = to_string(shape) + " axis " + std::to_string(axis) + " block " +
                                    std::to_string(block);
          EXPECT_EQ(next, weights.size()) << where;
          EXPECT_EQ(integers, bytes_of(whole.integers)) << where;
          EXPECT_EQ(scales, bytes_of(whole.scales)) << where;
          EXPECT_NEAR(loss_of_parts.signal, loss.signal, 1e-9 * loss.signal);
          EXPECT_NEAR(loss_of_parts.noise, loss.noise, 1e-9 * loss.signal);
        }
      }
    }
  }
}

TEST(WeightSlabs, AreAboutAsLargeAsAsked) {
  // Blocks along the first axis, the last, and one scale an index of the first.
  for (const WeightFormat& format : {WeightFormat{DType::kInt4, WeightRange::kMse, 0, 32},
                                     WeightFormat{DType::kInt4, WeightRange::kMse, 1, 32},
                                     WeightFormat{DType::kInt8, WeightRange::kMse, 0, 0}}) {
    const auto slabs = weight_slabs({4096, 1024}, format, 1 << 19);
    EXPECT_EQ(slabs.size(), 8u);
    for (const WeightSlab& slab : slabs) EXPECT_LE(slab.size, 1 << 19);
  }
  // Groups that are spread over all elements stay together.
  EXPECT_EQ(weight_slabs({64, 64}, {DType::kInt8, WeightRange::kMse, 1, 0}, 64).size(), 1u);
  EXPECT_EQ(weight_slabs({64, 64}, {DType::kInt8, WeightRange::kMse, -1, 0}, 64).size(), 1u);
  EXPECT_TRUE(weight_slabs({64, 0}, {DType::kInt8, WeightRange::kMse, 0, 0}, 64).empty());
}

TEST(WeightLoss, IsThatOfTheDequantizedWeights) {
  for (const WeightFormat& format : {WeightFormat{DType::kInt4, WeightRange::kMse, 0, 32},
                                     WeightFormat{DType::kInt4, WeightRange::kMse, 1, 24},
                                     WeightFormat{DType::kInt8, WeightRange::kMinMax, 1, 0},
                                     WeightFormat{DType::kInt8, WeightRange::kMinMax, -1, 0}}) {
    const Tensor weights = random_weights({300, 70}, 5);
    WeightLoss loss;
    const QuantizedWeights quantized = quantized_weights(weights, format, &loss);
    const Tensor back = dequantize_weights(quantized.integers, quantized.scales, format);
    double signal = 0, noise = 0;
    for (int64_t i = 0; i < weights.size(); ++i) {
      const double x = weights.data<float>()[i], y = back.data<float>()[i];
      signal += x * x;
      noise += (x - y) * (x - y);
    }
    EXPECT_NEAR(loss.signal, signal, 1e-5 * signal);
    EXPECT_NEAR(loss.noise, noise, 1e-4 * noise);
    EXPECT_NEAR(loss.sqnr_db(), 10 * std::log10(signal / noise), 1e-3);
  }
}

TEST(WeightLoss, IsTheSameForAnyNumberOfThreads) {
  const Tensor weights = random_weights({640, 500}, 6);
  for (const WeightFormat& format : {WeightFormat{DType::kInt4, WeightRange::kMse, 0, 32},
                                     WeightFormat{DType::kInt8, WeightRange::kMinMax, 1, 0}}) {
    set_num_threads(1);
    WeightLoss one, many;
    const QuantizedWeights first = quantized_weights(weights, format, &one);
    set_num_threads(5);
    const QuantizedWeights second = quantized_weights(weights, format, &many);
    set_num_threads(0);
    EXPECT_EQ(one.signal, many.signal);
    EXPECT_EQ(one.noise, many.noise);
    EXPECT_TRUE(first.integers.identical(second.integers));
    EXPECT_TRUE(first.scales.identical(second.scales));
  }
}

}  // namespace
}  // namespace dwindle
