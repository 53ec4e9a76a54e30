// What a dataset needs to know of a model's inputs, and the checks of arrays against them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/data/array_stream.h"
#include "core/ir/model.h"

namespace dwindle {

// A graph input that may be fed.
struct InputSpec {
  std::string name;
  ValueType type;
  bool required = true;  // it has no default value
};

std::vector<InputSpec> input_specs(const Model& model);

// "a float32[N,3], b int64[N]": for messages.
std::string list_inputs(const std::vector<InputSpec>& inputs);

// The only input that must be fed. Raises BadData, naming `source`, where there are several.
const InputSpec& only_input(const std::vector<InputSpec>& inputs, const std::string& source);

// Raises BadData where a required input is not among `keys`, telling which key to rename where one
// is left over.
void check_keys(const std::vector<InputSpec>& inputs, const std::vector<std::string>& keys,
                const std::string& source);

// `stream` as the dtype of the input: as it is, or float32 rounded to bfloat16, for which numpy's
// files have no type. Raises BadData, with how to convert, where the input is of another dtype.
std::unique_ptr<ArrayStream> as_input_dtype(const InputSpec& input,
                                            std::unique_ptr<ArrayStream> stream,
                                            const std::string& source);

// Classes as int64 of the same shape. Raises BadData where they are no integers.
Tensor to_labels(const Tensor& tensor, const std::string& key, const std::string& source);

}  // namespace dwindle
