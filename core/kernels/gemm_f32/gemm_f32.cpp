// The wrapper: checks the arguments once, cuts the product into blocks and shares them out.
//
// One item of work is a panel of up to 64 columns of C and a chunk of its rows. K is cut so that
// the block of B under the kernel stays in the first two cache levels while the rows of A stream
// past it; the partial sums are carried from one cut to the next through C, which float32 does
// exactly.
#include "core/kernels/gemm_f32/gemm_f32.h"

#include <algorithm>
#include <memory>
#include <new>

#include "core/support/error.h"
#include "core/support/threads.h"

namespace dwindle::kernels {
namespace {

constexpr int64_t kBlockK = 256;
constexpr int64_t kPanelWidth = 64;
// Copying a block of B costs about as much as multiplying it with this many rows saves.
constexpr int64_t kRowsWorthPacking = 16;
// Below this many multiply-adds a thread costs more than it brings.
constexpr int64_t kWorkPerThread = 1 << 17;

// One block of B for each thread, kept for its lifetime.
float* thread_panel() {
  struct Free {
    void operator()(float* data) const { ::operator delete[](data, std::align_val_t{64}); }
  };
  static thread_local std::unique_ptr<float[], Free> panel(static_cast<float*>(
      ::operator new[](kBlockK* kPanelWidth * sizeof(float), std::align_val_t{64})));
  return panel.get();
}

void check(const GemmF32& g) {
  if (g.m < 0 || g.n < 0 || g.k < 0) throw BadOption("gemm_f32: negative size");
  if (g.m == 0 || g.n == 0) return;
  const int sources = (g.b != nullptr) + (g.packed_b != nullptr) + (g.fill_b != nullptr);
  if (g.c == nullptr || g.ldc < g.n) throw BadOption("gemm_f32: C is missing or ldc < n");
  if (g.k == 0) return;
  if (sources != 1) throw BadOption("gemm_f32: B must come from exactly one source");
  if (g.a == nullptr) throw BadOption("gemm_f32: A is missing");
  if (g.packed_b != nullptr && (g.packed_b->k() != g.k || g.packed_b->n() != g.n)) {
    throw BadOption("gemm_f32: the packed B has another shape");
  }
}

struct Block {
  int64_t panel, k0, k1, n0, n1;
};

void copy_block(const GemmF32& g, const Block& at, float* to, int64_t ld) {
  const int64_t width = at.n1 - at.n0;
  const float* from = g.b + at.k0 * g.b_k_stride + at.n0 * g.b_n_stride;
  const int64_t rows = at.k1 - at.k0;
  if (g.b_n_stride == 1) {
    for (int64_t l = 0; l < rows; ++l) {
      std::copy_n(from + l * g.b_k_stride, width, to + l * ld);
    }
    return;
  }
  for (int64_t j = 0; j < width; ++j) {
    for (int64_t l = 0; l < rows; ++l) {
      to[l * ld + j] = from[l * g.b_k_stride + j * g.b_n_stride];
    }
  }
}

// Points the kernel's B at the block, copying it where that pays or there is no other way.
void bind_b(const GemmF32& g, const Block& at, GemmF32Params& p) {
  const int64_t padded = (at.n1 - at.n0 + 15) / 16 * 16;
  if (g.packed_b != nullptr) {
    p.b = g.packed_b->panel(at.panel, at.k0);
    p.ldb = padded;
  } else if (g.fill_b == nullptr && g.b_n_stride == 1 && p.m < kRowsWorthPacking) {
    p.b = g.b + at.k0 * g.b_k_stride + at.n0;
    p.ldb = g.b_k_stride;
  } else {
    float* to = thread_panel();
    if (g.fill_b != nullptr) {
      (*g.fill_b)(at.k0, at.k1, at.n0, at.n1, to, padded);
    } else {
      copy_block(g, at, to, padded);
    }
    p.b = to;
    p.ldb = padded;
  }
}

void run_panel(const GemmF32& g, GemmF32Fn kernel, const GemmF32Panels& panels, int64_t panel,
               int64_t row_begin, int64_t row_end) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const int64_t n0 = panels.begin(panel);
  const int64_t n1 = panels.begin(panel + 1);
  const int64_t blocks = std::max<int64_t>((g.k + kBlockK - 1) / kBlockK, 1);
  for (int64_t block = 0; block < blocks; ++block) {
    const bool first = block == 0;
    const bool last = block == blocks - 1;
    const int64_t k0 = g.k * block / blocks;
    const int64_t k1 = g.k * (block + 1) / blocks;
    GemmF32Params p = {
        .m = row_end - row_begin,
        .n = n1 - n0,
        .k = k1 - k0,
        .a = g.k > 0 ? g.a + row_begin * g.a_row_stride + k0 * g.a_k_stride : nullptr,
        .a_row_stride = g.a_row_stride,
        .a_k_stride = g.a_k_stride,
        .b = nullptr,
        .ldb = 0,
        .c = g.c + row_begin * g.ldc + n0,
        .ldc = g.ldc,
        .row_bias = first && g.row_bias != nullptr ? g.row_bias + row_begin : nullptr,
        .col_bias = first && g.col_bias != nullptr ? g.col_bias + n0 : nullptr,
        .load_c = g.accumulate || !first,
        .min = last ? g.min : -kInf,
        .max = last ? g.max : kInf,
    };
    if (g.k > 0) bind_b(g, {panel, k0, k1, n0, n1}, p);
    kernel(p);
  }
}

}  // namespace

void gemm_f32(const GemmF32& args, GemmF32Fn kernel) {
  check(args);
  if (args.m == 0 || args.n == 0) return;
  static const GemmF32Fn best = pick(gemm_f32_variants());
  if (kernel == nullptr) kernel = best;

  const GemmF32Panels panels(args.n);
  const int64_t threads = num_threads();
  // Rows are shared out only where there are too few panels to keep every thread busy.
  const int64_t wanted = panels.count() >= 4 * threads ? 1 : (4 * threads) / panels.count();
  const int64_t chunks = threads == 1 ? 1 : std::clamp<int64_t>(args.m / 24, 1, wanted);
  const int64_t items = panels.count() * chunks;
  const int64_t work_per_item =
      std::max<int64_t>(args.m * args.n * std::max<int64_t>(args.k, 1) / items, 1);
  const int64_t grain = (kWorkPerThread + work_per_item - 1) / work_per_item;
  parallel_for(items, grain, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t chunk = item % chunks;
      run_panel(args, kernel, panels, item / chunks, args.m * chunk / chunks,
                args.m * (chunk + 1) / chunks);
    }
  });
}

}  // namespace dwindle::kernels
