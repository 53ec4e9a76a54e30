// Blocks are taken 32 at a time, in the order of their scales, as the columns of a dense tile; a
// shorter block at the end of its axis gets zeros behind it, which change no scale and no error.
#include "core/quant/block_weights.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "core/ir/buffer_pool.h"
#include "core/kernels/quantize_columns_f32/quantize_columns_f32.h"
#include "core/support/threads.h"

namespace dwindle {
namespace {

constexpr int64_t kColumns = kernels::kQuantizedColumns;
constexpr int64_t kGrain = 1 << 16;  // elements that are worth a task

struct Blocks {
  int64_t extent = 1, inner = 1;  // of the axis; of the axes behind it
  int64_t size, in_axis;          // elements of a block, blocks along the axis
  int64_t count;

  Blocks(const Dims& shape, const WeightFormat& format) {
    const auto axis = static_cast<size_t>(format.axis);
    int64_t outer = 1;
    for (size_t i = 0; i < shape.size(); ++i) {
      (i < axis ? outer : i == axis ? extent : inner) *= shape[i];
    }
    size = std::min(format.block_size, std::max<int64_t>(extent, 1));
    in_axis = (extent + format.block_size - 1) / format.block_size;
    count = outer * in_axis * inner;
  }
};

// Where the elements of a block are: `rows` of them, `Blocks::inner` apart.
struct Column {
  int64_t first, rows;
};

Column column_at(const Blocks& blocks, int64_t i) {
  const int64_t line = i / blocks.inner, block = line % blocks.in_axis;
  const int64_t row = line / blocks.in_axis * blocks.extent + block * blocks.size;
  return {row * blocks.inner + i % blocks.inner,
          std::min(blocks.size, blocks.extent - block * blocks.size)};
}

struct Tile {
  std::array<Column, kColumns> columns;
  int64_t count;
  bool dense;  // the columns are neighbours in memory, and all of one height

  Tile(const Blocks& blocks, int64_t first) : count(std::min(kColumns, blocks.count - first)) {
    for (int64_t c = 0; c < count; ++c) {
      columns[static_cast<size_t>(c)] = column_at(blocks, first + c);
    }
    const Column& last = columns[static_cast<size_t>(count - 1)];
    dense = first / blocks.inner == (first + count - 1) / blocks.inner;
    dense = dense && last.first - columns[0].first == count - 1;
  }
};

void gather(const float* data, const Blocks& blocks, const Tile& tile, float* to) {
  if (tile.dense && tile.count == kColumns && tile.columns[0].rows == blocks.size) {
    const float* from = data + tile.columns[0].first;
    for (int64_t r = 0; r < blocks.size; ++r) {
      std::memcpy(to + r * kColumns, from + r * blocks.inner, kColumns * sizeof(float));
    }
    return;
  }
  std::fill(to, to + blocks.size * kColumns, 0.0f);
  for (int64_t c = 0; c < tile.count; ++c) {
    const Column& column = tile.columns[static_cast<size_t>(c)];
    const float* from = data + column.first;
    for (int64_t r = 0; r < column.rows; ++r) to[r * kColumns + c] = from[r * blocks.inner];
  }
}

void scatter(const int8_t* from, const Blocks& blocks, const Tile& tile, int8_t* integers) {
  if (tile.dense) {
    int8_t* to = integers + tile.columns[0].first;
    for (int64_t r = 0; r < tile.columns[0].rows; ++r) {
      std::memcpy(to + r * blocks.inner, from + r * kColumns, static_cast<size_t>(tile.count));
    }
    return;
  }
  for (int64_t c = 0; c < tile.count; ++c) {
    const Column& column = tile.columns[static_cast<size_t>(c)];
    int8_t* to = integers + column.first;
    for (int64_t r = 0; r < column.rows; ++r) to[r * blocks.inner] = from[r * kColumns + c];
  }
}

}  // namespace

void quantize_blocks(const Tensor& weights, const WeightFormat& format, float* scales,
                     int8_t* integers, WeightLoss* loss) {
  if (weights.size() == 0) return;
  const Blocks blocks(weights.shape(), format);
  const WeightLimits limits = weight_limits(format);
  const std::vector<float> shares = scale_shares(format);
  const kernels::QuantizeColumnsF32Fn kernel =
      kernels::pick(kernels::quantize_columns_f32_variants());
  const float* data = weights.data<float>();
  const int64_t tiles = (blocks.count + kColumns - 1) / kColumns;
  const int64_t tile_size = blocks.size * kColumns;
  std::vector<WeightLoss> losses(loss == nullptr ? 0 : static_cast<size_t>(tiles));
  parallel_for(tiles, std::max<int64_t>(1, kGrain / tile_size), [&](int64_t begin, int64_t end) {
    const auto bytes = static_cast<size_t>(tile_size) * (sizeof(float) + 1);
    const std::shared_ptr<std::byte> scratch = take_buffer(bytes);
    auto* x = reinterpret_cast<float*>(scratch.get());
    auto* q = reinterpret_cast<int8_t*>(x + tile_size);
    alignas(64) float scale[kColumns], signal[kColumns], noise[kColumns];
    for (int64_t i = begin; i < end; ++i) {
      const Tile tile(blocks, i * kColumns);
      gather(data, blocks, tile, x);
      kernel({x, blocks.size, static_cast<float>(limits.min), static_cast<float>(limits.max),
              shares.data(), static_cast<int>(shares.size()), kLeastWeightScale, q, scale, signal,
              noise});
      std::copy(scale, scale + tile.count, scales + i * kColumns);
      if (integers != nullptr) scatter(q, blocks, tile, integers);
      if (loss == nullptr) continue;
      WeightLoss& sum = losses[static_cast<size_t>(i)];
      for (int64_t c = 0; c < tile.count; ++c) {
        const double unit = static_cast<double>(scale[c]) * static_cast<double>(scale[c]);
        sum.add({unit * static_cast<double>(signal[c]), unit * static_cast<double>(noise[c])});
      }
    }
  });
  for (const WeightLoss& one : losses) loss->add(one);
}

}  // namespace dwindle
