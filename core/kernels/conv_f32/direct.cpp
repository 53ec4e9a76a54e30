#include "core/kernels/conv_f32/direct.h"

#include <algorithm>

#include "core/kernels/conv_f32/copy_floats.h"
#include "core/kernels/gemm_f32/gemm_f32.h"
#include "core/support/threads.h"

namespace dwindle::kernels {
namespace {

// Filters that run through a panel of positions together: their sums stay in the first cache.
constexpr int64_t kFilters = 64;
// Steps of the sum for which the input under a panel stays in the first cache.
constexpr int64_t kBlockK = 256;
// Below this many multiply-adds a thread costs more than it brings.
constexpr int64_t kWorkPerThread = 1 << 17;
// What it costs to copy a float of a patch and of a result, in multiply-adds.
constexpr int64_t kPatchCost = 16;
constexpr int64_t kResultCost = 24;
// One multiply-add in so many is lost to vectors that lie across cache lines.
constexpr int64_t kUnalignedLoss = 10;

// Neighbouring positions that lie in one row of the output.
struct Run {
  int64_t position, y, count;
};

// The runs of positions [begin, end); at most one a position.
int64_t runs_of(const PaddedLayoutF32& layout, int64_t begin, int64_t end, Run* runs) {
  const auto& [depth, height, width] = layout.conv().out_size;
  const int64_t pitch = layout.position(0, 1, 0);
  const int64_t rows = layout.position(1, 0, 0) / pitch;
  int64_t count = 0;
  for (int64_t at = begin; at < end;) {
    const int64_t w = at % pitch;
    const int64_t h = at / pitch % rows;
    const int64_t d = at / pitch / rows;
    if (w < width && h < height) {
      const int64_t y = (d * height + h) * width + w;
      runs[count++] = {at - begin, y, std::min(width - w, end - at)};
    }
    at += pitch - w;
  }
  return count;
}

}  // namespace

bool direct_pays_f32(const PaddedLayoutF32& layout) {
  const ConvF32& c = layout.conv();
  const auto padded = [](int64_t n) { return (n + 15) / 16 * 16; };
  const int64_t columns = c.out_size[0] * c.out_size[1] * c.out_size[2];
  const int64_t filters = c.out_channels / c.groups;
  const auto k = static_cast<int64_t>(layout.taps().size());
  const int64_t in_vain = padded(layout.span()) - padded(columns);
  return (in_vain + columns / kUnalignedLoss) * filters * k + kResultCost * filters * columns <
         kPatchCost * columns * k;
}

void direct_conv_f32(const PaddedInputF32& input, int64_t image, int64_t group) {
  static const GemmF32Fn kernel = pick(gemm_f32_variants());
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const PaddedLayoutF32& layout = input.layout();
  const ConvF32& c = layout.conv();
  const int64_t group_out = c.out_channels / c.groups;
  const int64_t plane = c.out_size[0] * c.out_size[1] * c.out_size[2];
  const auto k = static_cast<int64_t>(layout.taps().size());
  const int64_t k_blocks = std::max<int64_t>((k + kBlockK - 1) / kBlockK, 1);
  const int64_t chunks = (group_out + kFilters - 1) / kFilters;
  const GemmF32Panels panels(layout.span());

  const int64_t items = panels.count() * chunks;
  const int64_t work = group_out * layout.span() * std::max<int64_t>(k, 1);
  const int64_t grain = kWorkPerThread / std::max<int64_t>(work / items, 1) + 1;
  parallel_for(items, grain, [&](int64_t begin, int64_t end) {
    alignas(64) float room[kFilters * kGemmF32PanelWidth];
    Run runs[kGemmF32PanelWidth];
    for (int64_t item = begin; item < end; ++item) {
      const int64_t from = panels.begin(item / chunks);
      const int64_t to = panels.begin(item / chunks + 1);
      const int64_t filter = group_out * (item % chunks) / chunks;
      const int64_t filters = group_out * (item % chunks + 1) / chunks - filter;
      const int64_t first = group * group_out + filter;
      const auto of_filters = [&](bool now, const float* values) {
        return now && values != nullptr ? values + first : nullptr;
      };
      for (int64_t block = 0; block < k_blocks; ++block) {
        const int64_t k0 = k * block / k_blocks;
        const int64_t k1 = k * (block + 1) / k_blocks;
        const bool last = k1 == k;
        kernel({.m = filters,
                .n = to - from,
                .k = k1 - k0,
                .a = c.w + first * k + k0,
                .a_row_stride = k,
                .a_k_stride = 1,
                .b = input.data() + from,
                .ldb = 0,
                .b_rows = layout.taps().data() + k0,
                .c = room,
                .ldc = kGemmF32PanelWidth,
                .row_bias = of_filters(block == 0, c.bias),
                .col_bias = nullptr,
                .load_c = block > 0,
                .row_scale = of_filters(last, c.scale),
                .row_shift = of_filters(last, c.shift),
                .min = last ? c.min : -kInf,
                .max = last ? c.max : kInf});
      }
      if (c.activation != nullptr) {
        unary_rows_f32(*c.activation, room, filters, to - from, kGemmF32PanelWidth);
      }
      const Run* runs_end = runs + runs_of(layout, from, to, runs);
      for (int64_t i = 0; i < filters; ++i) {
        const float* sums = room + i * kGemmF32PanelWidth;
        float* y = c.y + (image * c.out_channels + first + i) * plane;
        for (const Run* run = runs; run < runs_end; ++run) {
          copy_floats(sums + run->position, y + run->y, run->count);
        }
      }
    }
  });
}

}  // namespace dwindle::kernels
