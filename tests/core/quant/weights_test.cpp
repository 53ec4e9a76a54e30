#include "core/quant/weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/quant/params.h"
#include "tests/support/random_weights.h"

namespace dwindle {
namespace {

using testing::random_weights;

// The place of the scale of each element, written out from the definition.
std::vector<int64_t> scale_places(const Dims& shape, const WeightFormat& format) {
  int64_t size = 1, inner = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    size *= shape[i];
    if (static_cast<int>(i) > format.axis) inner *= shape[i];
  }
  std::vector<int64_t> places(static_cast<size_t>(size), 0);
  if (format.axis < 0) return places;
  const int64_t extent = shape[static_cast<size_t>(format.axis)];
  for (int64_t i = 0; i < size; ++i) {
    const int64_t e = i / inner % extent, o = i / inner / extent;
    const int64_t blocks =
        format.block_size == 0 ? 0 : (extent + format.block_size - 1) / format.block_size;
    places[static_cast<size_t>(i)] =
        format.block_size == 0 ? e : (o * blocks + e / format.block_size) * inner + i % inner;
  }
  return places;
}

double squared_error(const Tensor& weights, const WeightFormat& format) {
  const Tensor scales = weight_scales(weights, format);
  const Tensor back = dequantize_weights(quantize_weights(weights, scales, format), scales, format);
  double error = 0;
  for (int64_t i = 0; i < weights.size(); ++i) {
    error += std::pow(weights.data<float>()[i] - back.data<float>()[i], 2);
  }
  return error;
}

TEST(Weights, OneScaleForEachSliceOfTheAxis) {
  // Columns of [2, 3] have magnitudes 4, 1 and 0.
  const Tensor weights = Tensor::of<float>({2, 3}, std::vector<float>{4, -1, 0, -2, 0.5f, 0});
  const WeightFormat format{DType::kInt8, WeightRange::kMinMax, 1};
  const Tensor scales = weight_scales(weights, format);
  EXPECT_EQ(to_floats(scales), (std::vector<float>{4.0f / 127, 1.0f / 127, 4.0f / 127 * 0x1p-20f}));
  EXPECT_EQ(to_int64s(quantize_weights(weights, scales, format)),
            (std::vector<int64_t>{127, -127, 0, -64, 64, 0}));
}

TEST(Weights, FewBitsUseTheLeastIntegerToo) {
  const Tensor weights = Tensor::of<float>({3}, std::vector<float>{-4, 1, 2});
  const WeightFormat format{DType::kInt2, WeightRange::kMinMax};
  const Tensor scales = weight_scales(weights, format);
  EXPECT_EQ(to_floats(scales), (std::vector<float>{2}));
  EXPECT_EQ(to_int64s(quantize_weights(weights, scales, format)), (std::vector<int64_t>{-2, 0, 1}));
}

TEST(Weights, ReducedRangeHasSevenBits) {
  const Tensor weights = Tensor::of<float>({2}, std::vector<float>{-63, 20});
  WeightFormat format{DType::kInt8, WeightRange::kMinMax};
  format.reduce_range = true;
  const Tensor scales = weight_scales(weights, format);
  EXPECT_EQ(to_int64s(quantize_weights(weights, scales, format)), (std::vector<int64_t>{-63, 20}));
}

// Every format against the definition, element by element.
TEST(Weights, EveryFormatFollowsItsDefinition) {
  unsigned seed = 0;
  for (const Dims& shape : {Dims{7, 13}, Dims{64, 3}, Dims{5, 4, 3}, Dims{2, 3, 3, 5}, Dims{9},
                            Dims{70, 130}, Dims{3, 9000}}) {
    for (DType dtype : {DType::kInt8, DType::kInt4, DType::kInt2}) {
      for (int axis = -1; axis < static_cast<int>(shape.size()); ++axis) {
        for (int64_t block : {0, 1, 3, 4, 32}) {
          for (WeightRange range : {WeightRange::kMinMax, WeightRange::kMse}) {
            if (axis < 0 && block > 0) continue;
            const WeightFormat format{dtype, range, axis, block};
            const Tensor weights = random_weights(shape, ++seed);
            const Tensor scales = weight_scales(weights, format);
            const Tensor integers = quantize_weights(weights, scales, format);
            ASSERT_EQ(integers.dtype(), dtype);
            ASSERT_EQ(integers.shape(), shape);
            const auto places = scale_places(shape, format);
            const auto codes = to_int64s(integers);
            const WeightLimits limits = weight_limits(format);
            const auto factors = to_floats(scales);
            for (size_t i = 0; i < places.size(); ++i) {
              const float scale = factors.at(static_cast<size_t>(places[i]));
              const auto expected = static_cast<int64_t>(std::nearbyint(
                  std::clamp(weights.data<float>()[i] / scale, static_cast<float>(limits.min),
                             static_cast<float>(limits.max))));
              ASSERT_EQ(codes[i], expected)
                  << to_string(shape) << " axis " << axis << " block " << block << " element " << i;
            }
            const Tensor back = dequantize_weights(integers, scales, format);
            for (size_t i = 0; i < places.size(); ++i) {
              ASSERT_EQ(back.data<float>()[i],
                        static_cast<float>(codes[i]) * factors.at(static_cast<size_t>(places[i])));
            }
          }
        }
      }
    }
  }
}

TEST(Weights, MseIsNeverWorseThanMinMax) {
  unsigned seed = 100;
  for (DType dtype : {DType::kInt8, DType::kInt4, DType::kInt2}) {
    for (int64_t block : {0, 32}) {
      const Tensor weights = random_weights({96, 40}, ++seed);
      const double clipped = squared_error(weights, {dtype, WeightRange::kMse, 0, block});
      const double whole = squared_error(weights, {dtype, WeightRange::kMinMax, 0, block});
      EXPECT_LE(clipped, whole);
      if (dtype != DType::kInt8) {
        EXPECT_LT(clipped, 0.95 * whole);
      }
    }
  }
}

TEST(Weights, EmptyAndZeroWeightsHaveScales) {
  const WeightFormat format{DType::kInt8, WeightRange::kMse, 0};
  EXPECT_EQ(weight_scales(Tensor::zeros(DType::kFloat, {3, 0}), format).size(), 3);
  EXPECT_EQ(to_floats(weight_scales(Tensor::zeros(DType::kFloat, {2, 2}), format)),
            (std::vector<float>{0x1p-20f, 0x1p-20f}));
}

TEST(Weights, ChannelsOfZerosHaveAShareOfTheGreatestScale) {
  const Tensor weights = Tensor::of<float>({4, 2}, {0, 0, 1, -254, 0, -0.0f, 2, 127});
  for (WeightRange range : {WeightRange::kMinMax, WeightRange::kMse}) {
    const auto scales = to_floats(weight_scales(weights, {DType::kInt8, range, 0}));
    EXPECT_EQ(scales[0], 0x1p-20f * scales[1]);
    EXPECT_EQ(scales[2], scales[0]);
    EXPECT_LT(scales[3], scales[1]);
  }
}

}  // namespace
}  // namespace dwindle
