#include "core/kernels/fake_quant_f32/fake_quant_f32.h"

#include "core/support/threads.h"

namespace dwindle::kernels {

void fake_quant_f32(const FakeQuantF32& args) {
  static const FakeQuantF32Fn best = pick(fake_quant_f32_variants());
  constexpr int64_t kGrain = 1 << 16;
  parallel_for(args.count, kGrain, [&](int64_t begin, int64_t end) {
    FakeQuantF32 part = args;
    part.x += begin;
    part.y += begin;
    part.count = end - begin;
    best(part);
  });
}

}  // namespace dwindle::kernels
