// Memory for tensors that live only for a moment: freed blocks are kept and handed out again, so
// that a model run many times does not pay for fresh pages each time.
#pragma once

#include <cstddef>
#include <memory>

namespace dwindle {

// A block of `size` bytes, aligned to 64, with 64 readable bytes behind it; not initialized.
// Returned to the pool of this process when the last owner goes. Thread-safe.
std::shared_ptr<std::byte> take_buffer(size_t size);

}  // namespace dwindle
