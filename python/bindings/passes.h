// simplify, quantize, run_recipe and compare for Python.
#pragma once

#include <pybind11/pybind11.h>

namespace dwindle {

void bind_passes(pybind11::module_& module);

}  // namespace dwindle
