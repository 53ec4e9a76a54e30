// Numpy's files have no bfloat16: float32 is read, and rounded on the way.
#include <algorithm>
#include <array>
#include <cstring>

#include "core/data/array_stream.h"

namespace dwindle {
namespace {

class Bfloat16Stream : public ArrayStream {
 public:
  explicit Bfloat16Stream(std::unique_ptr<ArrayStream> floats)
      : ArrayStream(DType::kBfloat16, floats->shape()), floats_(std::move(floats)) {}

  void read(std::byte* out, size_t size) override {
    std::array<float, 1024> block;
    for (size_t left = size / sizeof(Bfloat16); left > 0;) {
      const size_t count = std::min(left, block.size());
      floats_->read(reinterpret_cast<std::byte*>(block.data()), count * sizeof(float));
      for (size_t i = 0; i < count; ++i, out += sizeof(Bfloat16)) {
        const Bfloat16 rounded = to_bfloat16(block[i]);
        std::memcpy(out, &rounded, sizeof rounded);
      }
      left -= count;
    }
  }
  void rewind() override { floats_->rewind(); }

 private:
  std::unique_ptr<ArrayStream> floats_;
};

}  // namespace

std::unique_ptr<ArrayStream> stream_bfloat16(std::unique_ptr<ArrayStream> floats) {
  return std::make_unique<Bfloat16Stream>(std::move(floats));
}

}  // namespace dwindle
