// Targets: what the int8 kernels of a runtime take, as rows of data.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/ir/dtype.h"

namespace dwindle::passes {

struct Target {
  std::string_view name;
  std::string_view summary;
  std::vector<DType> activations;      // the first is the default; kUndefined stands for float
  bool symmetric_activations = false;  // zero point 0 (signed) or middle (unsigned) only
  std::vector<DType> weights;          // the first is the default
  bool per_channel = true;             // a scale an output channel
  bool blocks = false;                 // or one a block
  bool reduce_range = false;           // its 16-bit sums saturate with weights of 8 bits
  bool integer_bias = true;            // reads biases as int32
  // Keeps to the TensorFlow Lite specification: an average and a Concat have the scale of what they
  // read, and activations of 16 bits the zero point 0.
  bool tflite = false;
  // Ops of ai.onnx that it has kernels of for opsets up to 21 alone.
  std::vector<std::string_view> until_21 = {};

  bool takes(DType activation) const { return std::ranges::count(activations, activation) > 0; }
};

std::vector<std::string> target_names();
// "name: summary; …" of all, for help texts.
std::string target_summaries();

// Raises BadOption where there is none of that name.
const Target& find_target(std::string_view name);

}  // namespace dwindle::passes
