#include "core/support/interrupt.h"

#include <atomic>

#include "core/support/error.h"

namespace dwindle {
namespace {

std::atomic<bool> g_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free, "signal handlers may take no lock");
thread_local InterruptScope::Check t_check = nullptr;

}  // namespace

void request_interrupt() noexcept { g_requested.store(true, std::memory_order_relaxed); }

void check_interrupted() {
  if (g_requested.load(std::memory_order_relaxed)) throw Interrupted();
  if (t_check != nullptr) t_check();
}

InterruptScope::InterruptScope(Check check) : outer_(t_check) { t_check = check; }
InterruptScope::~InterruptScope() { t_check = outer_; }

}  // namespace dwindle
