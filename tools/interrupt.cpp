#include "tools/interrupt.h"

#include <csignal>

#include "core/support/interrupt.h"

namespace dwindle::cli {
namespace {

volatile std::sig_atomic_t g_signal = 0;

}  // namespace

void watch_signals() {
  struct sigaction action = {};
  action.sa_handler = [](int signal) {
    g_signal = signal;
    request_interrupt();
  };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int noted_signal() { return g_signal; }

}  // namespace dwindle::cli
