// Ctrl-C: long work ends at its next step, with temporary files removed.
#pragma once

#include <memory>

#include "core/data/dataset.h"

namespace dwindle::cli {

// From now on SIGINT and SIGTERM are noted; a second one ends the process at once.
void watch_signals();

// The signal that has come, or 0.
int noted_signal();

// Raises Interrupted where a signal has come.
void check_interrupted();

// The same data, whose next() raises Interrupted where a signal has come.
std::unique_ptr<Dataset> interruptible(std::unique_ptr<Dataset> data);

}  // namespace dwindle::cli
