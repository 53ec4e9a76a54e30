// Parallel loops. A thin wall around oneTBB, so that its headers stay in one .cpp.
#pragma once

#include <cstdint>
#include <functional>

namespace dwindle {

// Number of threads that parallel_for uses in this process; `0` restores the default (all cores).
void set_num_threads(int count);
int num_threads();

// Calls `body(begin, end)` over disjoint ranges that cover [0, count), each of at least `grain`
// items unless count is smaller. The ranges may depend on the number of threads, so `body` must
// give results that do not depend on where ranges start. Exceptions propagate to the caller, as
// does Interrupted, which ends large loops between ranges.
void parallel_for(int64_t count, int64_t grain,
                  const std::function<void(int64_t begin, int64_t end)>& body);

// Calls both, side by side where there are threads for it. What either throws propagates once both
// have ended.
void run_together(const std::function<void()>& first, const std::function<void()>& second);

}  // namespace dwindle
