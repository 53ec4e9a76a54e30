// Normal random weights for tests.
#pragma once

#include <random>
#include <utility>

#include "core/ir/tensor.h"

namespace dwindle::testing {

inline Tensor random_weights(Dims shape, unsigned seed) {
  Tensor tensor = Tensor::allocate(DType::kFloat, std::move(shape));
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  float* values = tensor.mutable_data<float>();
  for (int64_t i = 0; i < tensor.size(); ++i) values[i] = normal(random);
  return tensor;
}

}  // namespace dwindle::testing
