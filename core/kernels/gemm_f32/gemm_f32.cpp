// The wrapper: checks the arguments once, cuts the product into blocks and shares them out.
//
// One item of work is a group of panels of up to 64 columns of C and a chunk of its rows. K is cut
// so that the block of B under the kernel stays in the first two cache levels while the rows of A
// stream past it; the partial sums are carried from one cut to the next through C, which float32
// does exactly.
#include "core/kernels/gemm_f32/gemm_f32.h"

#include <algorithm>
#include <memory>
#include <new>

#include "core/support/error.h"
#include "core/support/threads.h"

namespace dwindle::kernels {
namespace {

constexpr int64_t kBlockK = 256;
constexpr int64_t kMaxGroup = 8;
// Divides well into the tiles of all variants.
constexpr int64_t kRowStep = 18;
// With fewer rows than this, copying a block of B costs more than it saves.
constexpr int64_t kRowsWorthPacking = 28;
constexpr int64_t kLineFloats = 16;
// What the second-level cache surely does not keep beside the output.
constexpr int64_t kFloatsTooLargeToBeNear = 1 << 17;
// Panels side by side whose rows the hardware's own prefetch does not yet take for a stream.
constexpr int64_t kMaxShortPieces = 2;
// Below this many multiply-adds a thread costs more than it brings.
constexpr int64_t kWorkPerThread = 1 << 17;

// Room for the blocks of B of one group, for each thread, kept for its lifetime.
float* thread_room() {
  struct Free {
    void operator()(float* data) const { ::operator delete[](data, std::align_val_t{64}); }
  };
  constexpr size_t kFloats = kBlockK * kGemmF32PanelWidth + kFillOvershootF32;
  static thread_local std::unique_ptr<float[], Free> panel(
      static_cast<float*>(::operator new[](kFloats * sizeof(float), std::align_val_t{64})));
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
  if ((g.row_scale == nullptr) != (g.row_shift == nullptr)) {
    throw BadOption("gemm_f32: a scale and a shift come together");
  }
  if (g.packed_b != nullptr && (g.packed_b->k() != g.k || g.packed_b->n() != g.n)) {
    throw BadOption("gemm_f32: the packed B has another shape");
  }
}

// A block of B: rows [k0, k1) of the columns [n0, n1) of one panel.
struct Block {
  int64_t panel, k0, k1, n0, n1;
  int64_t padded() const { return (n1 - n0 + 15) / 16 * 16; }
};

void copy_block(const GemmF32& g, const Block& at, float* to) {
  const int64_t width = at.n1 - at.n0;
  const float* from = g.b + at.k0 * g.b_k_stride + at.n0 * g.b_n_stride;
  const int64_t rows = at.k1 - at.k0;
  const int64_t ld = at.padded();
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

struct BoundB {
  const float* data;
  int64_t ld;
};

// Where the kernel finds the block: copied to `room` where that pays or there is no other way.
BoundB bind_b(const GemmF32& g, const Block& at, int64_t rows, float* room) {
  if (g.k == 0) return {nullptr, 0};
  if (g.packed_b != nullptr) return {g.packed_b->panel(at.panel, at.k0), at.padded()};
  if (g.fill_b != nullptr) {
    (*g.fill_b)(at.k0, at.k1, at.n0, at.n1, room, at.padded());
  } else if (g.b_n_stride == 1 && rows < kRowsWorthPacking) {
    return {g.b + at.k0 * g.b_k_stride + at.n0, g.b_k_stride};
  } else {
    copy_block(g, at, room);
  }
  return {room, at.padded()};
}

GemmF32Params params_of(const GemmF32& g, const Block& at, const BoundB& b, int64_t row_begin,
                        int64_t row_end) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const bool first = at.k0 == 0;
  const bool last = at.k1 == g.k;
  return {
      .m = row_end - row_begin,
      .n = at.n1 - at.n0,
      .k = at.k1 - at.k0,
      .a = g.k > 0 ? g.a + row_begin * g.a_row_stride + at.k0 * g.a_k_stride : nullptr,
      .a_row_stride = g.a_row_stride,
      .a_k_stride = g.a_k_stride,
      .b = b.data,
      .ldb = b.ld,
      .c = g.c + row_begin * g.ldc + at.n0,
      .ldc = g.ldc,
      .row_bias = first && g.row_bias != nullptr ? g.row_bias + row_begin : nullptr,
      .col_bias = first && g.col_bias != nullptr ? g.col_bias + at.n0 : nullptr,
      .load_c = g.accumulate || !first,
      .row_scale = last && g.row_scale != nullptr ? g.row_scale + row_begin : nullptr,
      .row_shift = last && g.row_shift != nullptr ? g.row_shift + row_begin : nullptr,
      .min = last ? g.min : -kInf,
      .max = last ? g.max : kInf,
  };
}

// How the product is cut. Where K is small, several panels are in the cache at once and a few rows
// of C run through all of them before the next rows: C is then written in long runs, which is what
// limits such a product.
struct Cut {
  GemmF32Panels panels;
  int64_t k_blocks;
  int64_t group;  // panels that are in the cache together
  int64_t groups;
  int64_t chunks;    // of rows, shared out only where there are too few groups for the threads
  int64_t row_step;  // rows that run through a group at a time
  bool looks_ahead;  // where B is too large to be near, and its pieces too short for the hardware

  explicit Cut(const GemmF32& g) : panels(g.n) {
    const int64_t threads = num_threads();
    const int64_t wanted = threads == 1 ? 1 : 4 * threads;
    k_blocks = std::max<int64_t>((g.k + kBlockK - 1) / kBlockK, 1);
    group = std::min(kBlockK / std::max<int64_t>(g.k, 1), kMaxGroup);
    group = std::clamp<int64_t>(std::min(group, panels.count() / wanted), 1, kMaxGroup);
    groups = (panels.count() + group - 1) / group;
    chunks = std::clamp<int64_t>(g.m / 24, 1, (wanted + groups - 1) / groups);
    row_step = group > 1 ? kRowStep : g.m;
    looks_ahead = g.b != nullptr && g.b_n_stride == 1 && group <= kMaxShortPieces &&
                  g.k * g.n >= kFloatsTooLargeToBeNear;
  }
};

// The share [begin, end) of `count` rows.
struct Share {
  int64_t begin, end, count;
};

// Asks for the block that takes the place of `at` in the next group: for as great a share of it as
// of the rows of C, so that memory has the time of the whole block.
void look_ahead(const GemmF32& g, const Cut& cut, const Block& at, const Share& rows,
                GemmF32Params& params) {
  const int64_t panel = at.panel + cut.group;
  if (!cut.looks_ahead || panel >= cut.panels.count()) return;
  const int64_t lines = cut.panels.padded_width(panel) / kLineFloats;
  const int64_t first = lines * rows.begin / rows.count;
  params.ahead = g.b + at.k0 * g.b_k_stride + cut.panels.begin(panel) + first * kLineFloats;
  params.ahead_stride = g.b_k_stride;
  params.ahead_lines = lines * rows.end / rows.count - first;
}

void run_group(const GemmF32& g, GemmF32Fn kernel, const Cut& cut, int64_t first_panel,
               int64_t row_begin, int64_t row_end) {
  const int64_t panel_end = std::min(first_panel + cut.group, cut.panels.count());
  Block blocks[kMaxGroup];
  BoundB bound[kMaxGroup];
  for (int64_t kb = 0; kb < cut.k_blocks; ++kb) {
    const int64_t k0 = g.k * kb / cut.k_blocks;
    const int64_t k1 = g.k * (kb + 1) / cut.k_blocks;
    float* room = thread_room();
    for (int64_t p = first_panel; p < panel_end; ++p) {
      Block& block = blocks[p - first_panel];
      block = {p, k0, k1, cut.panels.begin(p), cut.panels.begin(p + 1)};
      bound[p - first_panel] = bind_b(g, block, row_end - row_begin, room);
      room += block.padded() * (k1 - k0);
    }
    for (int64_t row = row_begin; row < row_end; row += cut.row_step) {
      const int64_t next = std::min(row + cut.row_step, row_end);
      for (int64_t i = 0; i < panel_end - first_panel; ++i) {
        GemmF32Params params = params_of(g, blocks[i], bound[i], row, next);
        const Share rows = {row - row_begin, next - row_begin, row_end - row_begin};
        look_ahead(g, cut, blocks[i], rows, params);
        kernel(params);
        if (g.activation != nullptr && k1 == g.k) {
          unary_rows_f32(*g.activation, params.c, params.m, params.n, params.ldc);
        }
      }
    }
  }
}

}  // namespace

void gemm_f32(const GemmF32& args, GemmF32Fn kernel) {
  check(args);
  if (args.m == 0 || args.n == 0) return;
  static const GemmF32Fn best = pick(gemm_f32_variants());
  if (kernel == nullptr) kernel = best;

  const Cut cut(args);
  const int64_t items = cut.groups * cut.chunks;
  const int64_t work = args.m * args.n * std::max<int64_t>(args.k, 1);
  const int64_t grain = kWorkPerThread / std::max<int64_t>(work / items, 1) + 1;
  parallel_for(items, grain, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t chunk = item % cut.chunks;
      run_group(args, kernel, cut, item / cut.chunks * cut.group, args.m * chunk / cut.chunks,
                args.m * (chunk + 1) / cut.chunks);
    }
  });
}

}  // namespace dwindle::kernels
