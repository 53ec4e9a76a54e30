#include "core/data/model_inputs.h"

#include <algorithm>

#include "core/support/error.h"

namespace dwindle {
namespace {

std::string quoted_list(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "'" : ", '") + word + "'";
  return text;
}

}  // namespace

std::vector<InputSpec> input_specs(const Model& model) {
  std::vector<InputSpec> inputs;
  for (const Value* value : model.graph->inputs()) {
    inputs.push_back({value->name(), value->type, value->initializer() == nullptr});
  }
  return inputs;
}

std::string list_inputs(const std::vector<InputSpec>& inputs) {
  std::string text;
  for (const InputSpec& input : inputs) {
    text += (text.empty() ? "" : ", ") + input.name + " " + to_string(input.type);
  }
  return text.empty() ? "none" : text;
}

const InputSpec& only_input(const std::vector<InputSpec>& inputs, const std::string& source) {
  const InputSpec* only = nullptr;
  int required = 0;
  for (const InputSpec& input : inputs) {
    if (!input.required) continue;
    only = &input;
    ++required;
  }
  if (required == 1) return *only;
  throw BadData(source + " is data for one input, but the model has " + std::to_string(required) +
                " (" + list_inputs(inputs) + "); give an .npz with a key for each");
}

void check_keys(const std::vector<InputSpec>& inputs, const std::vector<std::string>& keys,
                const std::string& source) {
  std::vector<std::string> missing, unknown = keys;
  for (const InputSpec& input : inputs) {
    if (std::erase(unknown, input.name) == 0 && input.required) missing.push_back(input.name);
  }
  if (missing.empty() && unknown.empty()) return;
  std::string text = source;
  if (missing.empty()) {
    text += ": " + quoted_list(unknown) + " is no input of the model; if it holds the classes, " +
            "name it with --labels (labels= in Python)";
  } else {
    text += " has no key " + quoted_list(missing);
    if (missing.size() == 1 && unknown.size() == 1) {
      text += "; rename '" + unknown[0] + "' to '" + missing[0] + "'";
    } else {
      text += "; its keys are " + (keys.empty() ? "none" : quoted_list(keys));
    }
  }
  throw BadData(text + " (the model's inputs: " + list_inputs(inputs) + ")");
}

std::unique_ptr<ArrayStream> as_input_dtype(const InputSpec& input,
                                            std::unique_ptr<ArrayStream> stream,
                                            const std::string& source) {
  const DType wanted = input.type.dtype, dtype = stream->dtype();
  if (wanted == dtype || wanted == DType::kUndefined) return stream;
  if (wanted == DType::kBfloat16 && dtype == DType::kFloat) {
    return stream_bfloat16(std::move(stream));
  }
  const std::string name(dtype_name(wanted));
  const std::string numpy_name = wanted == DType::kBfloat16 ? "float32" : name;
  throw BadData(source + ": '" + input.name + "' is " + std::string(dtype_name(dtype)) +
                ", but the model wants " + name + "; convert it with astype('" + numpy_name + "')" +
                (numpy_name == name ? "" : ", which is rounded to " + name));
}

Tensor to_labels(const Tensor& tensor, const std::string& key, const std::string& source) {
  if (!is_integer(tensor.dtype())) {
    throw BadData(source + ": the classes in '" + key + "' are " +
                  std::string(dtype_name(tensor.dtype())) + ", but integers are wanted");
  }
  return Tensor::of(tensor.shape(), to_int64s(tensor));
}

}  // namespace dwindle
