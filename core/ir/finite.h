// NaN and infinities among floating-point elements.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/ir/model.h"

namespace dwindle {

struct NonFinite {
  int64_t nans = 0, infinities = 0;
  int64_t first = -1, first_nan = -1;  // elements; -1: there is none
  double first_value = 0;

  bool any() const { return first >= 0; }
};

// What `tensor` holds of them: none unless it is float64, float32, float16 or bfloat16. Reads it in
// parts whose memory is given back where it mirrors a file.
NonFinite find_non_finite(const Tensor& tensor);

// "NaN", "infinity" or "-infinity".
std::string non_finite_name(double value);

// The index of element `at` in a tensor of `shape`.
Dims index_of_element(int64_t at, const Dims& shape);

struct NonFiniteConstant {
  std::string name;  // of the value
  Dims shape;        // of a sparse tensor: of its stored values
  NonFinite found;
};

// The initializers and tensors of Constant nodes that hold any, those of nested graphs and local
// functions too, in the order of each graph.
std::vector<NonFiniteConstant> non_finite_constants(const Model& model);

}  // namespace dwindle
