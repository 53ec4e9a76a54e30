#include "core/ir/buffer_pool.h"

#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include "core/support/error.h"

namespace dwindle {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kSmallest = 256;
// Larger blocks (weights of large models) are rare and go straight back to the system.
constexpr size_t kLargestKept = size_t{64} << 20;
constexpr size_t kMostIdle = size_t{128} << 20;

// Sizes are rounded up to four steps per power of two, so at most a quarter is wasted.
size_t rounded(size_t size) {
  if (size <= kSmallest) return kSmallest;
  const size_t step = std::bit_floor(size) / 4;
  return (size + step - 1) / step * step;
}

class Pool {
 public:
  std::byte* take(size_t size) {
    {
      std::lock_guard lock(mutex_);
      auto it = idle_.find(size);
      if (it != idle_.end() && !it->second.empty()) {
        std::byte* block = it->second.back();
        it->second.pop_back();
        idle_bytes_ -= size;
        return block;
      }
    }
    void* block = std::aligned_alloc(kAlignment, size + kAlignment);
    if (block == nullptr) {
      throw Error("out of memory: could not allocate " + std::to_string(size) + " bytes");
    }
    return static_cast<std::byte*>(block);
  }

  void give_back(std::byte* block, size_t size) {
    if (size <= kLargestKept) {
      std::lock_guard lock(mutex_);
      if (idle_bytes_ + size <= kMostIdle) {
        idle_[size].push_back(block);
        idle_bytes_ += size;
        return;
      }
    }
    std::free(block);
  }

 private:
  std::mutex mutex_;
  std::map<size_t, std::vector<std::byte*>> idle_;
  size_t idle_bytes_ = 0;
};

// Never destroyed: tensors held by static objects may outlive it otherwise.
Pool& pool() {
  static Pool& instance = *new Pool;
  return instance;
}

}  // namespace

std::shared_ptr<std::byte> take_buffer(size_t size) {
  const size_t bytes = rounded(size);
  const size_t aligned = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return {pool().take(aligned), [aligned](std::byte* block) { pool().give_back(block, aligned); }};
}

}  // namespace dwindle
