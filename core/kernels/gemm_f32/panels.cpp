// How B is cut into panels, and a constant B packed into them.
#include <algorithm>
#include <new>

#include "core/kernels/gemm_f32/gemm_f32.h"

namespace dwindle::kernels {
namespace {

constexpr int64_t kVector = 16;
constexpr int64_t kMaxVectors = kGemmF32PanelWidth / kVector;
constexpr std::align_val_t kAlignment{64};

}  // namespace

// A B of 196 columns is cut into 64 + 48 + 48 + 36 rather than 64 + 64 + 64 + 4: a tile that is one
// vector wide does four times the loads per multiply-add of one that is four wide.
GemmF32Panels::GemmF32Panels(int64_t n)
    : n_(n),
      count_((n + kVector * kMaxVectors - 1) / (kVector * kMaxVectors)),
      vectors_((n + kVector - 1) / kVector) {}

int64_t GemmF32Panels::begin(int64_t panel) const {
  if (panel >= count_) return n_;
  const int64_t narrow = vectors_ / count_;
  const int64_t wide_panels = vectors_ % count_;
  return kVector * (narrow * panel + std::min(panel, wide_panels));
}

int64_t GemmF32Panels::padded_width(int64_t panel) const {
  return (begin(panel + 1) - begin(panel) + kVector - 1) / kVector * kVector;
}

PackedBF32::PackedBF32(const float* b, int64_t k, int64_t n, int64_t k_stride, int64_t n_stride)
    : k_(k), n_(n), panels_(n) {
  const int64_t padded_n = (n + kVector - 1) / kVector * kVector;
  const size_t bytes = static_cast<size_t>(std::max<int64_t>(k * padded_n, 1)) * sizeof(float);
  data_.reset(static_cast<float*>(::operator new[](bytes, kAlignment)));
  for (int64_t p = 0; p < panels_.count(); ++p) {
    const int64_t n0 = panels_.begin(p);
    const int64_t width = panels_.begin(p + 1) - n0;
    const int64_t padded = panels_.padded_width(p);
    float* to = data_.get() + n0 * k;
    for (int64_t l = 0; l < k; ++l, to += padded) {
      const float* from = b + l * k_stride + n0 * n_stride;
      for (int64_t j = 0; j < width; ++j) to[j] = from[j * n_stride];
      std::fill(to + width, to + padded, 0.0f);
    }
  }
}

const float* PackedBF32::panel(int64_t panel, int64_t row) const {
  return data_.get() + panels_.begin(panel) * k_ + row * panels_.padded_width(panel);
}

void PackedBF32::Free::operator()(float* data) const { ::operator delete[](data, kAlignment); }

}  // namespace dwindle::kernels
