// Copies of a few floats, inline: a call of memcpy costs more than it copies.
#pragma once

#include <cstdint>
#include <cstring>

namespace dwindle::kernels {

inline void copy_floats(const float* from, float* to, int64_t count) {
  for (; count >= 16; count -= 16, from += 16, to += 16) std::memcpy(to, from, 16 * sizeof(float));
  for (; count >= 4; count -= 4, from += 4, to += 4) std::memcpy(to, from, 4 * sizeof(float));
  for (; count > 0; --count) *to++ = *from++;
}

}  // namespace dwindle::kernels
