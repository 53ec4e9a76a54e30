#include "core/ops/move.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/support/error.h"
#include "core/support/threads.h"

namespace dwindle {
namespace {

// Copies of fewer bytes than this are not worth a second thread.
constexpr int64_t kParallelBytes = 1 << 16;
// Side of the square blocks in which a transposition goes, so that both sides stay in cache.
constexpr int64_t kBlock = 16;

struct Bytes16 {
  uint64_t low, high;
};

template <typename Body>
void with_width(size_t width, Body&& body) {
  switch (width) {
    case 1:
      return body(uint8_t{});
    case 2:
      return body(uint16_t{});
    case 4:
      return body(uint32_t{});
    case 8:
      return body(uint64_t{});
    default:
      return body(Bytes16{});
  }
}

// The offsets of two strided arrays, position by position in row-major order.
class Odometer {
 public:
  Odometer(const Dims& dims, const Dims& a_strides, const Dims& b_strides, int64_t start)
      : dims_(dims), a_strides_(a_strides), b_strides_(b_strides), index_(dims.size()) {
    for (size_t i = dims.size(); i-- > 0;) {
      index_[i] = start % dims[i];
      start /= dims[i];
      a += index_[i] * a_strides[i];
      b += index_[i] * b_strides[i];
    }
  }
  void next() {
    for (size_t i = dims_.size(); i-- > 0;) {
      a += a_strides_[i];
      b += b_strides_[i];
      if (++index_[i] < dims_[i]) return;
      a -= index_[i] * a_strides_[i];
      b -= index_[i] * b_strides_[i];
      index_[i] = 0;
    }
  }
  int64_t a = 0, b = 0;

 private:
  const Dims &dims_, &a_strides_, &b_strides_;
  Dims index_;
};

// Drops axes of one element and joins neighbours that are one axis in both arrays.
void simplify(StridedCopy& copy) {
  Dims dims, src, dst;
  for (size_t i = 0; i < copy.dims.size(); ++i) {
    const int64_t n = copy.dims[i], s = copy.src_strides[i], d = copy.dst_strides[i];
    if (n == 1) continue;
    if (!dims.empty() && src.back() == s * n && dst.back() == d * n) {
      dims.back() *= n;
      src.back() = s;
      dst.back() = d;
      continue;
    }
    dims.push_back(n);
    src.push_back(s);
    dst.push_back(d);
  }
  if (dims.empty()) dims = src = dst = {1};
  copy.dims = std::move(dims);
  copy.src_strides = std::move(src);
  copy.dst_strides = std::move(dst);
}

// Takes an axis away from `copy` and returns its extent and strides.
struct Axis {
  int64_t extent, src, dst;
};
Axis take_axis(StridedCopy& copy, size_t axis) {
  const Axis taken{copy.dims[axis], copy.src_strides[axis], copy.dst_strides[axis]};
  const auto at = static_cast<std::ptrdiff_t>(axis);
  copy.dims.erase(copy.dims.begin() + at);
  copy.src_strides.erase(copy.src_strides.begin() + at);
  copy.dst_strides.erase(copy.dst_strides.begin() + at);
  return taken;
}

// Rows along the innermost axis.
template <typename T>
void copy_rows(StridedCopy copy) {
  const Axis inner = take_axis(copy, copy.dims.size() - 1);
  const int64_t rows = element_count(copy.dims);
  const int64_t row_bytes = inner.extent * static_cast<int64_t>(sizeof(T));
  const bool dense = inner.src == 1 && inner.dst == 1;
  const T* const src = reinterpret_cast<const T*>(copy.src);
  T* const dst = reinterpret_cast<T*>(copy.dst);
  parallel_for(rows, std::max<int64_t>(1, kParallelBytes / row_bytes),
               [&](int64_t begin, int64_t end) {
                 Odometer at(copy.dims, copy.src_strides, copy.dst_strides, begin);
                 for (int64_t row = begin; row < end; ++row, at.next()) {
                   const T* from = src + at.a;
                   T* to = dst + at.b;
                   if (dense) {
                     std::memcpy(to, from, static_cast<size_t>(row_bytes));
                   } else {
                     for (int64_t i = 0; i < inner.extent; ++i)
                       to[i * inner.dst] = from[i * inner.src];
                   }
                 }
               });
}

// Four rows of four elements of 4 bytes, transposed in registers: to[j * to_row + i] is
// from[i * from_row + j].
void transpose_4x4(const uint32_t* from, int64_t from_row, uint32_t* to, int64_t to_row) {
  using Four = uint32_t __attribute__((vector_size(16)));
  Four a, b, c, d;
  std::memcpy(&a, from, sizeof a);
  std::memcpy(&b, from + from_row, sizeof b);
  std::memcpy(&c, from + 2 * from_row, sizeof c);
  std::memcpy(&d, from + 3 * from_row, sizeof d);
  const Four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  const Four ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Four cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const Four cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  a = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
  b = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
  c = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
  d = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
  std::memcpy(to, &a, sizeof a);
  std::memcpy(to + to_row, &b, sizeof b);
  std::memcpy(to + 2 * to_row, &c, sizeof c);
  std::memcpy(to + 3 * to_row, &d, sizeof d);
}

// One block of at most kBlock x kBlock elements: x is innermost in the destination, y in the
// source.
template <typename T>
void copy_block(const T* from, T* to, const Axis& x, const Axis& y, int64_t width, int64_t height) {
  if constexpr (sizeof(T) == 4) {
    if (width == kBlock && height == kBlock && x.dst == 1) {
      for (int64_t j = 0; j < kBlock; j += 4) {
        for (int64_t i = 0; i < kBlock; i += 4) {
          transpose_4x4(from + i * x.src + j, x.src, to + j * y.dst + i, y.dst);
        }
      }
      return;
    }
  }
  for (int64_t j = 0; j < height; ++j) {
    for (int64_t i = 0; i < width; ++i) to[i * x.dst + j * y.dst] = from[i * x.src + j];
  }
}

// The innermost axis of the source is not that of the destination: square blocks over both.
template <typename T>
void copy_blocks(StridedCopy copy, size_t source_inner) {
  const Axis x = take_axis(copy, copy.dims.size() - 1);
  const Axis y = take_axis(copy, source_inner);
  const int64_t strips = (y.extent + kBlock - 1) / kBlock;
  copy.dims.push_back(strips);
  copy.src_strides.push_back(kBlock * y.src);
  copy.dst_strides.push_back(kBlock * y.dst);
  const int64_t strip_bytes = kBlock * x.extent * static_cast<int64_t>(sizeof(T));
  const int64_t grain = std::max<int64_t>(1, kParallelBytes / strip_bytes);
  parallel_for(element_count(copy.dims), grain, [&](int64_t begin, int64_t end) {
    Odometer at(copy.dims, copy.src_strides, copy.dst_strides, begin);
    for (int64_t strip = begin; strip < end; ++strip, at.next()) {
      const T* from = reinterpret_cast<const T*>(copy.src) + at.a;
      T* to = reinterpret_cast<T*>(copy.dst) + at.b;
      const int64_t height = std::min(kBlock, y.extent - strip % strips * kBlock);
      for (int64_t x0 = 0; x0 < x.extent; x0 += kBlock) {
        copy_block(from + x0 * x.src, to + x0 * x.dst, x, y, std::min(kBlock, x.extent - x0),
                   height);
      }
    }
  });
}

// A stretch of one output row: `length` elements from `src` on, or of the fill where src is -1.
struct Run {
  int64_t dst, src, length;
};

std::vector<Run> runs_of(const std::vector<int64_t>& map) {
  std::vector<Run> runs;
  for (size_t i = 0; i < map.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    if (!runs.empty()) {
      Run& last = runs.back();
      if (last.src < 0 ? map[i] < 0 : map[i] == last.src + last.length) {
        ++last.length;
        continue;
      }
    }
    runs.push_back({at, map[i], 1});
  }
  return runs;
}

bool is_identity(const std::vector<int64_t>& map, int64_t extent) {
  if (static_cast<int64_t>(map.size()) != extent) return false;
  for (size_t i = 0; i < map.size(); ++i) {
    if (map[i] != static_cast<int64_t>(i)) return false;
  }
  return true;
}

template <typename T>
class MappedCopy {
 public:
  MappedCopy(const std::byte* src, Dims dims, const IndexMaps& maps, const std::byte* fill,
             std::byte* dst)
      : src_(reinterpret_cast<const T*>(src)), dst_(reinterpret_cast<T*>(dst)), maps_(maps) {
    if (fill != nullptr) std::memcpy(&fill_, fill, sizeof(T));
    strides_ = row_major_strides(dims);
    // Inner axes that are taken whole are one block of elements that moves together.
    axes_ = dims.size();
    while (axes_ > 1 && is_identity(maps[axes_ - 1], dims[axes_ - 1])) block_ *= dims[--axes_];
    runs_ = runs_of(maps[axes_ - 1]);
    width_ = static_cast<int64_t>(maps[axes_ - 1].size());
    by_runs_ = block_ > 1 || static_cast<int64_t>(runs_.size()) * 4 <= width_;
    for (size_t i = 0; i + 1 < axes_; ++i) rows_ *= static_cast<int64_t>(maps[i].size());
  }

  void run() const {
    const int64_t row_bytes = std::max<int64_t>(1, width_ * block_) * sizeof(T);
    parallel_for(rows_, std::max<int64_t>(1, kParallelBytes / row_bytes),
                 [&](int64_t begin, int64_t end) {
                   int64_t last = kNoRow;
                   for (int64_t row = begin; row < end; ++row) last = copy_row(row, last);
                 });
  }

 private:
  static constexpr int64_t kNoRow = -1;

  // Returns where in the source the row came from; one that comes from the same place as that
  // before it is copied from there.
  int64_t copy_row(int64_t row, int64_t last) const {
    T* to = dst_ + row * width_ * block_;
    int64_t offset = 0;
    for (size_t axis = axes_ - 1; axis-- > 0;) {
      const std::vector<int64_t>& map = maps_[axis];
      const auto extent = static_cast<int64_t>(map.size());
      const int64_t at = map[static_cast<size_t>(row % extent)];
      row /= extent;
      if (at < 0) {
        std::fill_n(to, width_ * block_, fill_);
        return kNoRow;
      }
      offset += at * strides_[axis];
    }
    if (offset == last) {
      std::memcpy(to, to - width_ * block_, static_cast<size_t>(width_ * block_) * sizeof(T));
      return offset;
    }
    const T* from = src_ + offset;
    if (!by_runs_) {
      const int64_t* map = maps_[axes_ - 1].data();
      for (int64_t i = 0; i < width_; ++i) to[i] = map[i] < 0 ? fill_ : from[map[i]];
      return offset;
    }
    for (const Run& run : runs_) {
      if (run.src < 0) {
        std::fill_n(to + run.dst * block_, run.length * block_, fill_);
      } else {
        std::memcpy(to + run.dst * block_, from + run.src * block_,
                    static_cast<size_t>(run.length * block_) * sizeof(T));
      }
    }
    return offset;
  }

  const T* src_;
  T* dst_;
  const IndexMaps& maps_;
  T fill_{};
  Dims strides_;
  size_t axes_ = 0;
  std::vector<Run> runs_;
  int64_t block_ = 1, width_ = 0, rows_ = 1;
  bool by_runs_ = false;
};

}  // namespace

size_t element_bytes(DType dtype) {
  const int bits = dtype_bits(dtype);
  if (bits == 0 || bits % 8 != 0) {
    throw Unsupported("moving elements of " + std::string(dtype_name(dtype)) +
                      " is not supported here");
  }
  return static_cast<size_t>(bits / 8);
}

Dims row_major_strides(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return strides;
}

void copy_strided(StridedCopy copy) {
  if (element_count(copy.dims) == 0) return;
  simplify(copy);
  const size_t last = copy.dims.size() - 1;
  size_t source_inner = last;
  if (copy.src_strides[last] != 1) {
    for (size_t i = 0; i < last; ++i) {
      if (copy.src_strides[i] == 1) source_inner = i;
    }
  }
  with_width(copy.width, [&](auto element) {
    using T = decltype(element);
    if (source_inner == last) {
      copy_rows<T>(std::move(copy));
    } else {
      copy_blocks<T>(std::move(copy), source_inner);
    }
  });
}

void copy_mapped(size_t width, const std::byte* src, const Dims& src_dims, const IndexMaps& maps,
                 const std::byte* fill, std::byte* dst) {
  for (const auto& map : maps) {
    if (map.empty()) return;
  }
  if (maps.empty()) {
    std::memcpy(dst, src, width);
    return;
  }
  with_width(width, [&](auto element) {
    MappedCopy<decltype(element)>(src, src_dims, maps, fill, dst).run();
  });
}

}  // namespace dwindle
