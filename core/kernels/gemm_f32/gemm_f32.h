// Single-precision matrix multiplication:
//
//   C[m, n] = f(clamp((sum over k of A[m, k] * B[k, n] + bias) * row_scale[m] + row_shift[m]))
//
// Every element of C starts from (accumulate ? C : 0) + row_bias[m] + col_bias[n] and takes one
// fused multiply-add per k, in the order of k, then a multiplication and an addition. Tiles,
// instruction set and number of threads change only which elements are computed beside each other,
// never the order within one element, so all variants and all thread counts give the same bits. The
// clamp is max(lo, v), then min(hi, v), and lets a NaN through. f is an activation function, if
// any.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>

#include "core/kernels/cpu.h"
#include "core/kernels/unary_f32/unary_f32.h"

namespace dwindle::kernels {

// ---- The kernel: one block, all in cache -------------------------------------------------------

// A block of the product. Strides count floats. Nothing may overlap `c`.
struct GemmF32Params {
  int64_t m, n, k;  // all at least 1, except that k may be 0
  const float* a;   // A[i, l] is a[i * a_row_stride + l * a_k_stride]
  int64_t a_row_stride, a_k_stride;
  const float* b;  // B[l, j] is b[l * ldb + j]
  int64_t ldb;
  const int64_t* b_rows = nullptr;  // [k] or null: B[l, j] is then b[b_rows[l] + j]
  float* c;                         // C[i, j] is c[i * ldc + j]
  int64_t ldc;
  const float* row_bias;             // [m] or null
  const float* col_bias;             // [n] or null
  bool load_c;                       // start from C rather than from 0
  const float* row_scale = nullptr;  // [m] or null: then there is no scale and shift
  const float* row_shift = nullptr;  // [m] beside row_scale
  float min, max;                    // -inf and inf where nothing is to be clamped
  // Memory that a later block needs, to be brought closer while this one is computed: `ahead_lines`
  // neighbouring cache lines in each of k rows. May be 0, and may be ignored.
  const float* ahead = nullptr;
  int64_t ahead_stride = 0;
  int64_t ahead_lines = 0;
};

using GemmF32Fn = void (*)(const GemmF32Params&) noexcept;

// Best first.
std::span<const Variant<GemmF32Fn>> gemm_f32_variants();

// ---- The wrapper: any size, checked, blocked for the caches, threaded --------------------------

// How the columns of an n-column B are cut into panels: of 64 columns at most, of nearly equal
// widths, each a multiple of 16 but for the last.
class GemmF32Panels {
 public:
  explicit GemmF32Panels(int64_t n);
  int64_t count() const { return count_; }
  int64_t begin(int64_t panel) const;  // first column; begin(count()) is n
  int64_t padded_width(int64_t panel) const;

 private:
  int64_t n_, count_, vectors_;
};

// A constant B, rearranged once into panels that the kernels read front to back.
class PackedBF32 {
 public:
  // B[l, j] is b[l * k_stride + j * n_stride]: strides (n, 1) for a row-major K x N matrix, (1, k)
  // for a row-major N x K one that is to be used transposed (Gemm with transB=1).
  PackedBF32(const float* b, int64_t k, int64_t n, int64_t k_stride, int64_t n_stride);

  int64_t k() const { return k_; }
  int64_t n() const { return n_; }
  // Rows `row` and on of a panel; consecutive rows are padded_width(panel) floats apart.
  const float* panel(int64_t panel, int64_t row) const;

 private:
  struct Free {
    void operator()(float* data) const;
  };
  int64_t k_, n_;
  GemmF32Panels panels_;
  std::unique_ptr<float[], Free> data_;
};

// Writes B[k0:k1, n0:n1] to `dst`, rows `ld` floats apart, of at most kGemmF32PanelWidth columns.
// May write up to kFillOvershootF32 floats past the end of the last row. Called from several
// threads at once, and more than once for the same block where the rows of A are shared out among
// threads.
inline constexpr int64_t kGemmF32PanelWidth = 64;
inline constexpr int64_t kFillOvershootF32 = 16;
using FillPanelF32 =
    std::function<void(int64_t k0, int64_t k1, int64_t n0, int64_t n1, float* dst, int64_t ld)>;

struct GemmF32 {
  int64_t m = 0, n = 0, k = 0;  // any may be 0
  const float* a = nullptr;
  int64_t a_row_stride = 0;
  int64_t a_k_stride = 1;  // for a transposed A: a_row_stride = 1 and a_k_stride = m
  // B comes from exactly one of these three.
  const float* b = nullptr;
  int64_t b_k_stride = 0;
  int64_t b_n_stride = 1;
  const PackedBF32* packed_b = nullptr;
  const FillPanelF32* fill_b = nullptr;
  float* c = nullptr;  // must not overlap A, B or a bias
  int64_t ldc = 0;
  bool accumulate = false;
  const float* row_bias = nullptr;   // [m]: what Conv adds
  const float* col_bias = nullptr;   // [n]: what Gemm adds
  const float* row_scale = nullptr;  // [m], with row_shift: what BatchNormalization does
  const float* row_shift = nullptr;
  float min = -std::numeric_limits<float>::infinity();
  float max = std::numeric_limits<float>::infinity();
  const UnaryF32* activation = nullptr;  // applied in the end; its x, y and count do not count
};

// Raises BadOption where the arguments contradict each other. `kernel` replaces the variant that
// this CPU and DWINDLE_ISA pick; tests and benchmarks use it.
void gemm_f32(const GemmF32& args, GemmF32Fn kernel = nullptr);

}  // namespace dwindle::kernels
