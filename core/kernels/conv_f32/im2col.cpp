#include "core/kernels/conv_f32/im2col.h"

#include <algorithm>
#include <cstring>

#include "core/kernels/gemm_f32/gemm_f32.h"

namespace dwindle::kernels {
namespace {

// Neighbouring columns that lie in one row of the output, and so in one row of the padded input.
struct ColumnRun {
  int64_t from, to, count;
};

// Copies `count` floats and up to kFillOvershootF32 more, in pieces whose size the compiler knows.
void copy_run(const float* from, float* to, int64_t count) {
  for (; count > 8; count -= 16, from += 16, to += 16) std::memcpy(to, from, 16 * sizeof(float));
  if (count > 0) std::memcpy(to, from, 8 * sizeof(float));
}

}  // namespace

void fill_patches_f32(const PaddedInputF32& input, int64_t k0, int64_t k1, int64_t n0, int64_t n1,
                      float* to, int64_t ld) {
  const auto& [depth, height, width] = input.layout().conv().out_size;
  ColumnRun runs[kGemmF32PanelWidth];
  int64_t count = 0;
  for (int64_t n = n0; n < n1; n += runs[count++].count) {
    const int64_t w = n % width;
    const int64_t row = n / width;
    runs[count] = {input.layout().position(row / height, row % height, w), n - n0,
                   std::min(width - w, n1 - n)};
  }
  // What a run writes too much, the next one or the next row overwrites.
  for (int64_t k = k0; k < k1; ++k, to += ld) {
    const float* from = input.data() + input.layout().taps()[k];
    for (int64_t i = 0; i < count; ++i) {
      copy_run(from + runs[i].from, to + runs[i].to, runs[i].count);
    }
  }
}

}  // namespace dwindle::kernels
