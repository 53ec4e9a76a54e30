#include "python/bindings/progress.h"

namespace py = pybind11;

namespace dwindle {

void PythonProgress::update(std::string_view stage, size_t done, size_t total) {
  if (callback_.is_none()) return;
  const auto now = std::chrono::steady_clock::now();
  const bool last = total > 0 && done >= total;
  if (now < next_ && !last) return;
  py::gil_scoped_acquire gil;
  callback_(stage, done, total);
  next_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
}

}  // namespace dwindle
