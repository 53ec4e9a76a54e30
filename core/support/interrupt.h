// Interrupts: how long work, however deep, learns that it should stop.
//
// Work asks check_interrupted() at every step of its own: the executors at every node and so at
// every turn of a loop, passes at every node, files at every block. What asks need not be told
// whom.
#pragma once

namespace dwindle {

// From now on work in any thread of this process ends with Interrupted. For signal handlers.
void request_interrupt() noexcept;

// Raises Interrupted after request_interrupt(), or what the InterruptScope of this thread raises.
// Costs a few nanoseconds.
void check_interrupted();

// As long as it lives, check_interrupted() in this thread calls `check` too, which may throw: for
// hosts whose signals do not come to request_interrupt(), as Python's. Scopes nest; the inner one
// counts.
class InterruptScope {
 public:
  using Check = void (*)();
  explicit InterruptScope(Check check);
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

 private:
  Check outer_;
};

}  // namespace dwindle
