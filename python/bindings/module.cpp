// The extension module dwindle._dwindle: what the thin package in python/dwindle re-exports.
#include <pybind11/pybind11.h>

#include "core/support/error.h"
#include "core/support/threads.h"
#include "python/bindings/model.h"
#include "python/bindings/passes.h"

namespace py = pybind11;

namespace dwindle {
namespace {

template <typename E>
void bind_error(py::module_& module, const char* name, py::handle base, const char* doc) {
  py::exception<E>& error = py::register_exception<E>(module, name, base);
  error.attr("__module__") = "dwindle";
  error.attr("__doc__") = doc;
}

// Translators are tried from the last to the first, so the base comes first here.
void bind_errors(py::module_& module) {
  bind_error<Error>(module, "Error", PyExc_Exception, "Base of all errors that Dwindle raises.");
  const py::object base = module.attr("Error");
  bind_error<BadModel>(module, "BadModel", base, "The model is not valid.");
  bind_error<BadData>(module, "BadData", base, "Input data does not fit the model.");
  bind_error<BadOption>(module, "BadOption", base, "An option is unknown or out of range.");
  bind_error<Unsupported>(module, "Unsupported", base,
                          "The model uses something that Dwindle does not handle.");
  bind_error<BoundMissed>(module, "BoundMissed", base,
                          "The result is further from the original than was allowed.");
  bind_error<IoError>(module, "IoError", base, "A file cannot be read or written.");
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const Interrupted&) {
      PyErr_SetNone(PyExc_KeyboardInterrupt);
    }
  });
}

}  // namespace
}  // namespace dwindle

PYBIND11_MODULE(_dwindle, module) {
  module.doc() = "Dwindle's C++ core; use the package dwindle.";
  dwindle::bind_errors(module);
  dwindle::bind_model(module);
  dwindle::bind_passes(module);
  module.def(
      "set_num_threads",
      [](int count) {
        if (count < 0) throw dwindle::BadOption("the number of threads must not be negative");
        dwindle::set_num_threads(count);
      },
      py::arg("count"),
      "Use `count` threads from now on; 0: all cores. Results do not depend on it.");
  module.attr("__version__") = DWINDLE_VERSION;
}
