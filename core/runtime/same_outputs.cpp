#include "core/runtime/same_outputs.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/ops/op.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

constexpr double kHalfTolerance = 0x1p-6;

// Another runtime may be asked to run it so.
bool may_drop_out(const Node& node) {
  const Value* training = node.is("Dropout") ? node.input(2) : nullptr;
  if (training == nullptr) return false;
  const Tensor* constant = training->constant();
  return constant == nullptr || constant->size() != 1 || to_int64s(*constant)[0] != 0;
}

bool has_random_ops(const Model& model) {
  bool found = false;
  for_each_graph(*model.graph, [&](Graph& graph) {
    for (const Node* node : graph.nodes()) {
      auto imported = model.opsets.find(node->domain);
      if (imported == model.opsets.end()) continue;
      const OpRow* row = find_op(node->domain, node->op_type, static_cast<int>(imported->second));
      found |= row != nullptr && ((row->traits & kRandom) != 0 || may_drop_out(*node));
    }
  });
  return found;
}

std::string type_of(const Tensor& tensor) {
  return std::string(dtype_name(tensor.dtype())) + to_string(tensor.shape());
}

void fail(OutputDifference& difference, const std::string& what) {
  difference.same = false;
  if (difference.what.empty()) difference.what = what;
}

void compare_floats(OutputDifference& difference, const Tensor& expected, const Tensor& got,
                    double tolerance) {
  const bool wide = expected.dtype() == DType::kDouble;
  const std::vector<float> a = wide ? std::vector<float>() : to_floats(expected);
  const std::vector<float> b = wide ? std::vector<float>() : to_floats(got);
  auto at = [&](const Tensor& tensor, const std::vector<float>& floats, size_t i) {
    return wide ? tensor.data<double>()[i] : static_cast<double>(floats[i]);
  };
  const auto count = static_cast<size_t>(expected.size());
  double magnitude = 0, worst = 0;
  for (size_t i = 0; i < count; ++i) {
    const double x = at(expected, a, i), y = at(got, b, i);
    if (std::isfinite(x)) magnitude = std::max(magnitude, std::abs(x));
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    // A NaN or an infinity on one side alone is no matter of degree.
    const double error = std::abs(x - y);
    worst = std::isfinite(error) ? std::max(worst, error) : INFINITY;
  }
  // Below this an output is zero but for rounding.
  const double relative = worst == 0 ? 0 : worst / std::max(magnitude, 1e-6);
  difference.max_absolute = std::max(difference.max_absolute, worst);
  difference.max_relative = std::max(difference.max_relative, relative);
  if (!(relative <= tolerance)) fail(difference, "is off by " + std::to_string(relative));
}

void compare(OutputDifference& difference, const Tensor& expected, const Tensor& got, bool random,
             double tolerance) {
  if (expected.dtype() != got.dtype() || expected.shape() != got.shape()) {
    fail(difference, "was " + type_of(expected) + " but is " + type_of(got));
    return;
  }
  if (random) return;
  const DType dtype = expected.dtype();
  const bool half = dtype == DType::kFloat16 || dtype == DType::kBfloat16;
  if (half || dtype == DType::kFloat || dtype == DType::kDouble) {
    compare_floats(difference, expected, got,
                   half ? std::max(kHalfTolerance, tolerance) : tolerance);
  } else if (!expected.identical(got)) {
    difference.max_absolute = difference.max_relative = INFINITY;
    fail(difference, "has other elements");
  }
}

// A copy without the nodes that no output needs, whatever they are: an op that cannot be run must
// not stand in the way of the others.
Model without_dead_nodes(const Model& model) {
  Model copy = model.clone();
  const NodeRange range = copy.graph->nodes();
  std::vector<Node*> nodes(range.begin(), range.end());
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    const auto& outputs = (*node)->outputs();
    if (std::all_of(outputs.begin(), outputs.end(),
                    [](const Value* value) { return value == nullptr || value->unused(); })) {
      copy.graph->erase(*node);
    }
  }
  copy.graph->sweep();
  return copy;
}

// Inputs that neither model reads need no data.
void drop_unread_inputs(Model& a, Model& b) {
  auto unread = [](const Model& model, const std::string& name) {
    const Value* value = model.graph->find(name);
    return value == nullptr || value->unused();
  };
  auto drop = [](Model& model, const std::string& name) {
    const auto& inputs = model.graph->inputs();
    const auto it = std::ranges::find(inputs, name, &Value::name);
    if (it != inputs.end()) model.graph->remove_input(static_cast<size_t>(it - inputs.begin()));
  };
  const std::vector<Value*> inputs = a.graph->inputs();
  for (const Value* input : inputs) {
    if (!unread(a, input->name()) || !unread(b, input->name())) continue;
    drop(a, input->name());
    drop(b, input->name());
  }
}

}  // namespace

std::string SameOutputs::summary() const {
  double worst = 0;
  for (const OutputDifference& output : outputs) {
    if (!output.same) return "output '" + output.name + "' " + output.what;
    worst = std::max(worst, output.max_relative);
  }
  char text[64];
  std::snprintf(text, sizeof text, "largest relative error %.3g", worst);
  return random ? "random outputs: only their types were compared" : text;
}

SameOutputs same_outputs(const Model& whole_original, const Model& whole_changed,
                         const SameOutputsOptions& options) {
  Model original = without_dead_nodes(whole_original), changed = without_dead_nodes(whole_changed);
  drop_unread_inputs(original, changed);
  SameOutputs result;
  result.random = has_random_ops(original);
  for (const Value* output : original.graph->outputs()) {
    result.outputs.emplace_back();
    result.outputs.back().name = output->name();
  }
  const std::unique_ptr<Executor> before = options.executors(original);
  for (int run = 0; run < options.runs; ++run) {
    TensorMap expected, got;
    const TensorMap feeds =
        runnable_feeds(original, *before, options.seed + static_cast<uint64_t>(run), &expected);
    try {
      got = options.executors(changed)->run(feeds);
    } catch (const Error& error) {
      for (OutputDifference& output : result.outputs) {
        fail(output, std::string("is not computed: ") + error.what());
      }
      break;
    }
    for (OutputDifference& output : result.outputs) {
      auto it = got.find(output.name);
      if (it == got.end()) {
        fail(output, "is missing");
      } else {
        compare(output, expected.at(output.name), it->second, result.random, options.tolerance);
      }
    }
  }
  for (const OutputDifference& output : result.outputs) result.same &= output.same;
  return result;
}

SameOutputs checked_same_outputs(const Model& original, const Model& changed,
                                 const std::string& otherwise, const SameOutputsOptions& options) {
  try {
    return same_outputs(original, changed, options);
  } catch (const Unsupported& error) {
    throw Unsupported(std::string(error.what()) +
                      ". So the result cannot be checked against the original; " + otherwise);
  } catch (const Error& error) {
    throw Error(
        "the original does not run on random inputs, so the result cannot be checked "
        "against it (" +
        otherwise + "): " + error.what());
  }
}

}  // namespace dwindle
