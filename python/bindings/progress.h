// Progress for Python: calls a callable.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>

#include "core/support/progress.h"

namespace dwindle {

// Takes the GIL at most every 50 ms and calls `callback(stage, done, total)` unless it is None.
class PythonProgress : public Progress {
 public:
  explicit PythonProgress(pybind11::object callback) : callback_(std::move(callback)) {}
  void update(std::string_view stage, size_t done, size_t total) override;

 private:
  pybind11::object callback_;
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace dwindle
