// Long work without the GIL, that Ctrl-C ends.
#pragma once

#include <pybind11/pybind11.h>

#include "core/support/interrupt.h"

namespace dwindle {

// An InterruptScope::Check: at most every 50 ms takes the GIL and lets Python handle signals. What
// a handler raised (KeyboardInterrupt, unless the user has set another) is thrown on.
void check_python_signals();

// As long as it lives, other Python threads run, and check_interrupted() in this one heeds signals.
class ReleasedGil {
 private:
  pybind11::gil_scoped_release release_;
  InterruptScope scope_{check_python_signals};
};

}  // namespace dwindle
