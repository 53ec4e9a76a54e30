// Ctrl-C: long work ends at its next step, with temporary files removed.
#pragma once

namespace dwindle::cli {

// From now on SIGINT and SIGTERM interrupt work; a second one ends the process at once.
void watch_signals();

// The signal that has come, or 0.
int noted_signal();

}  // namespace dwindle::cli
