#include "core/support/threads.h"

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/parallel_invoke.h>

#include <algorithm>
#include <memory>
#include <mutex>

#include "core/support/interrupt.h"

namespace dwindle {
namespace {

constexpr int64_t kParts = 16;
int g_threads = 0;  // 0: all cores
std::unique_ptr<tbb::global_control> g_limit;
std::mutex g_mutex;

}  // namespace

void set_num_threads(int count) {
  std::lock_guard lock(g_mutex);
  g_threads = std::max(count, 0);
  g_limit.reset();
  if (g_threads > 0) {
    g_limit = std::make_unique<tbb::global_control>(tbb::global_control::max_allowed_parallelism,
                                                    static_cast<size_t>(g_threads));
  }
}

int num_threads() {
  std::lock_guard lock(g_mutex);
  return g_threads > 0 ? g_threads : tbb::info::default_concurrency();
}

void parallel_for(int64_t count, int64_t grain,
                  const std::function<void(int64_t begin, int64_t end)>& body) {
  if (count <= 0) return;
  if (count <= grain) {
    body(0, count);
    return;
  }
  if (num_threads() == 1) {
    // In parts all the same, between which an interrupt is seen.
    const int64_t part = std::max(grain, (count + kParts - 1) / kParts);
    for (int64_t begin = 0; begin < count; begin += part) {
      check_interrupted();
      body(begin, std::min(begin + part, count));
    }
    return;
  }
  tbb::parallel_for(
      tbb::blocked_range<int64_t>(0, count, static_cast<size_t>(std::max<int64_t>(grain, 1))),
      [&](const tbb::blocked_range<int64_t>& range) {
        check_interrupted();
        body(range.begin(), range.end());
      });
}

void run_together(const std::function<void()>& first, const std::function<void()>& second) {
  if (num_threads() == 1) {
    first();
    second();
    return;
  }
  tbb::parallel_invoke(first, second);
}

}  // namespace dwindle
