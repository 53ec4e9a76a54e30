// Executor: runs a Model and shows values as they are computed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/ir/model.h"

namespace dwindle {

// Tensors by the name of the value they belong to.
using TensorMap = std::map<std::string, Tensor>;

// Called with each value that is watched, as soon as it is computed; from the running thread.
using Watcher = std::function<void(const Value& value, const Tensor& tensor)>;

class Executor {
 public:
  virtual ~Executor() = default;

  // Runs with `feeds` for the graph inputs (those with an initializer may be left out; float32 is
  // rounded for those of bfloat16) and returns the graph outputs. Raises BadData where the feeds do
  // not fit, Unsupported where an op cannot be run.
  virtual TensorMap run(const TensorMap& feeds) = 0;

  // `watcher` is called for every value in `values` on each run from now on, a value after those
  // that it is computed from. An empty list stops it.
  virtual void watch(const std::vector<const Value*>& values, Watcher watcher) = 0;

  // Why `value` is never shown to a watcher; empty where it is.
  virtual std::string blind_to(const Value& /*value*/) const { return {}; }
};

// Makes an executor for a model that outlives it. May raise Unsupported at once.
using MakeExecutor = std::function<std::unique_ptr<Executor>(const Model& model)>;

// A FloatExecutor, which runs all that the operator table holds.
std::unique_ptr<Executor> make_float_executor(const Model& model);

}  // namespace dwindle
