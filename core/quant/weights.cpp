// Every format is a row of panels: matrices whose rows lie one behind the other, in which each run
// of neighbouring columns has one scale.
//
//   one scale      one panel of one row, one run
//   per channel    one panel [outer, extent · inner], runs of inner
//   blocks         a panel [block, inner] a block, runs of one column
//
// A panel is taken column strip by column strip; strips never cut a run, so they are independent.
// The scales of blocks come from quantize_blocks(), a faster way for their many small groups.
#include "core/quant/weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/quant/block_weights.h"
#include "core/quant/params.h"
#include "core/support/threads.h"

namespace dwindle {
namespace {

constexpr int64_t kStrip = 1 << 12;  // columns of a strip, about

struct Panel {
  int64_t first;  // element
  int64_t first_scale;
  int64_t rows, columns;
  int64_t run;  // columns that share a scale
};

class Panels {
 public:
  Panels(const Dims& shape, const WeightFormat& format) {
    for (int i = 0; i < static_cast<int>(shape.size()); ++i) {
      (format.axis < 0 || i > format.axis ? inner_
       : i == format.axis                 ? extent_
                                          : outer_) *= shape[static_cast<size_t>(i)];
    }
    block_ = format.block_size;
    if (block_ > 0) blocks_ = (extent_ + block_ - 1) / block_;
    // Blocks of neighbouring elements that divide their axis are runs of one long row.
    if (block_ > 0 && inner_ == 1 && extent_ % block_ == 0) {
      inner_ = block_;
      extent_ = blocks_ * outer_;
      outer_ = 1;
      block_ = 0;
    }
  }

  int64_t count() const { return block_ > 0 ? outer_ * blocks_ : 1; }
  Panel at(int64_t i) const {
    if (block_ == 0) return {0, 0, outer_, extent_ * inner_, inner_};
    const int64_t row = i / blocks_ * extent_ + i % blocks_ * block_;
    const int64_t rows = std::min(block_, extent_ - i % blocks_ * block_);
    return {row * inner_, i * inner_, rows, inner_, 1};
  }

 private:
  int64_t outer_ = 1, extent_ = 1, inner_ = 1;
  int64_t block_ = 0, blocks_ = 1;
};

int64_t strip_width(const Panel& panel) {
  return std::max<int64_t>(1, kStrip / panel.run) * panel.run;
}

int64_t count_strips(const Tensor& weights, const WeightFormat& format) {
  if (weights.size() == 0) return 0;
  const Panels panels(weights.shape(), format);
  const Panel any = panels.at(0);
  const int64_t width = strip_width(any);
  return panels.count() * ((any.columns + width - 1) / width);
}

// Calls `body(panel, first column, columns, index)` for all strips of all panels, in parallel.
template <typename Body>
void for_each_strip(const Tensor& weights, const WeightFormat& format, const Body& body) {
  if (weights.size() == 0) return;
  const Panels panels(weights.shape(), format);
  const Panel any = panels.at(0);
  const int64_t width = strip_width(any);
  const int64_t strips = (any.columns + width - 1) / width;
  const int64_t elements = std::max<int64_t>(1, any.rows * std::min(width, any.columns));
  parallel_for(panels.count() * strips, std::max<int64_t>(1, kStrip * 8 / elements),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) {
                   const Panel panel = panels.at(i / strips);
                   const int64_t first = i % strips * width;
                   body(panel, first, std::min(width, panel.columns - first), i);
                 }
               });
}

// Scratch of one strip: the scale of every column.
struct Columns {
  std::vector<float> least, greatest, scale, best, error, least_error;
  explicit Columns(int64_t width)
      : least(static_cast<size_t>(width)),
        greatest(least),
        scale(least),
        best(least),
        error(least),
        least_error(least) {}
};

// Adds up, or takes the extreme of, the columns of each run, and gives all of them the result.
template <typename Combine>
void merge_runs(std::vector<float>& columns, int64_t width, int64_t run, Combine&& combine) {
  if (run == 1) return;
  for (int64_t first = 0; first < width; first += run) {
    float* values = columns.data() + first;
    float merged = values[0];
    for (int64_t i = 1; i < run; ++i) merged = combine(merged, values[i]);
    std::fill(values, values + run, merged);
  }
}

void find_extremes(const float* first, const Panel& panel, int64_t width, Columns& columns) {
  std::fill(columns.least.begin(), columns.least.end(), 0.0f);
  std::fill(columns.greatest.begin(), columns.greatest.end(), 0.0f);
  float* least = columns.least.data();
  float* greatest = columns.greatest.data();
  for (int64_t row = 0; row < panel.rows; ++row) {
    const float* in = first + row * panel.columns;
    for (int64_t c = 0; c < width; ++c) {
      least[c] = in[c] < least[c] ? in[c] : least[c];
      greatest[c] = in[c] > greatest[c] ? in[c] : greatest[c];
    }
  }
  merge_runs(columns.least, width, panel.run, [](float a, float b) { return std::min(a, b); });
  merge_runs(columns.greatest, width, panel.run, [](float a, float b) { return std::max(a, b); });
}

// round_half_even of a number below 2^22, also in vector registers: the sum has no bits for the
// fraction.
constexpr float kRound = 12582912.0f;

void add_errors(const float* first, const Panel& panel, int64_t width, WeightLimits limits,
                Columns& columns) {
  std::fill(columns.error.begin(), columns.error.end(), 0.0f);
  const auto low = static_cast<float>(limits.min), high = static_cast<float>(limits.max);
  const float* scale = columns.scale.data();
  float* error = columns.error.data();
  for (int64_t row = 0; row < panel.rows; ++row) {
    const float* in = first + row * panel.columns;
    for (int64_t c = 0; c < width; ++c) {
      float q = in[c] / scale[c];
      q = q > low ? q : low;
      q = q < high ? q : high;
      q = (q + kRound) - kRound;
      const float lost = q * scale[c] - in[c];
      error[c] += lost * lost;
    }
  }
  merge_runs(columns.error, width, panel.run, [](float a, float b) { return a + b; });
}

// Groups of zeros have none yet.
float usable_weight_scale(float scale) {
  return scale == 0 ? 0 : std::max(scale, kLeastWeightScale);
}

void choose_scales(const float* first, const Panel& panel, int64_t width,
                   const WeightFormat& format, Columns& columns) {
  const WeightLimits limits = weight_limits(format);
  const auto low = static_cast<float>(limits.min), high = static_cast<float>(limits.max);
  find_extremes(first, panel, width, columns);
  for (int64_t c = 0; c < width; ++c) {
    const auto at = static_cast<size_t>(c);
    const float full = std::max(columns.least[at] / low, columns.greatest[at] / high);
    columns.best[at] = usable_weight_scale(full);
  }
  if (format.range == WeightRange::kMinMax) return;
  const std::vector<float> full = columns.best;
  const std::vector<float> shares = scale_shares(format);
  for (size_t candidate = 0; candidate < shares.size(); ++candidate) {
    for (size_t c = 0; c < full.size(); ++c) {
      columns.scale[c] = usable_weight_scale(full[c] * shares[candidate]);
    }
    add_errors(first, panel, width, limits, columns);
    for (size_t c = 0; c < full.size(); ++c) {
      if (candidate > 0 && !(columns.error[c] < columns.least_error[c])) continue;
      columns.least_error[c] = columns.error[c];
      columns.best[c] = columns.scale[c];
    }
  }
}

// Any scale would hold a group of zeros, but its bias is rounded to products of it. This share of
// the greatest scale leaves biases 20 bits where that is loud, and runtimes a factor above 2^-31.
constexpr float kShareOfZeros = 1.0f / (1 << 20);

void scale_zeros(Tensor& scales) {
  float* scale = scales.mutable_data<float>();
  float* end = scale + scales.size();
  const float greatest = scale == end ? 0 : *std::max_element(scale, end);
  const float share = usable_weight_scale((greatest > 0 ? greatest : 1.0f) * kShareOfZeros);
  std::replace(scale, end, 0.0f, share);
}

// Spreads one scale a group over the columns of a strip.
void load_scales(const float* scales, const Panel& panel, int64_t first, int64_t width,
                 float* columns) {
  for (int64_t c = 0; c < width; ++c) {
    columns[c] = scales[panel.first_scale + (first + c) / panel.run];
  }
}

// Packs the whole pairs of 4-bit integers for bytes [begin, end); returns the first byte left.
int64_t pack_pairs(const int8_t* from, int64_t size, int64_t begin, int64_t end, std::byte* to) {
  end = std::min(end, size / 2);
  for (int64_t byte = begin; byte < end; ++byte) {
    uint16_t pair = 0;
    std::memcpy(&pair, from + 2 * byte, sizeof pair);
    to[byte] = static_cast<std::byte>((pair & 0x0f) | (pair >> 4 & 0xf0));
  }
  return std::max(begin, end);
}

// Packs integers of less than 8 bits, the first in the low bits.
Tensor packed(const Tensor& integers, DType dtype) {
  const int bits = dtype_bits(dtype);
  if (bits == 8) return integers;
  const int in_byte = 8 / bits;
  const int mask = (1 << bits) - 1;
  Tensor out = Tensor::allocate(dtype, integers.shape());
  std::byte* to = out.mutable_bytes();
  const int8_t* from = integers.data<int8_t>();
  const int64_t size = integers.size();
  parallel_for(static_cast<int64_t>(out.nbytes()), 1 << 16, [&](int64_t begin, int64_t end) {
    if (bits == 4) begin = pack_pairs(from, size, begin, end, to);
    for (int64_t byte = begin; byte < end; ++byte) {
      int code = 0;
      const int64_t first = byte * in_byte;
      const int count = static_cast<int>(std::min<int64_t>(in_byte, size - first));
      for (int i = 0; i < count; ++i) code |= (from[first + i] & mask) << (i * bits);
      to[byte] = static_cast<std::byte>(code);
    }
  });
  return out;
}

void add_loss(const float* real, const int8_t* integers, const float* scale, int64_t count,
              WeightLoss& loss) {
  for (int64_t i = 0; i < count; ++i) {
    const double error = static_cast<double>(real[i]) -
                         static_cast<double>(static_cast<float>(integers[i]) * scale[i]);
    loss.add({static_cast<double>(real[i]) * static_cast<double>(real[i]), error * error});
  }
}

// One byte an element.
Tensor unpacked_integers(const Tensor& weights, const Tensor& scales, const WeightFormat& format,
                         WeightLoss* loss) {
  Tensor integers = Tensor::allocate(DType::kInt8, weights.shape());
  int8_t* out = integers.mutable_data<int8_t>();
  const float* data = weights.data<float>();
  const float* scale_data = scales.data<float>();
  const WeightLimits limits = weight_limits(format);
  const auto low = static_cast<float>(limits.min), high = static_cast<float>(limits.max);
  std::vector<WeightLoss> losses(
      static_cast<size_t>(loss == nullptr ? 0 : count_strips(weights, format)));
  const auto body = [&](const Panel& panel, int64_t first, int64_t width, int64_t index) {
    std::vector<float> scale(static_cast<size_t>(width));
    load_scales(scale_data, panel, first, width, scale.data());
    for (int64_t row = 0; row < panel.rows; ++row) {
      const int64_t at = panel.first + row * panel.columns + first;
      for (int64_t c = 0; c < width; ++c) {
        float q = data[at + c] / scale[static_cast<size_t>(c)];
        q = q > low ? q : low;
        q = q < high ? q : high;
        out[at + c] = static_cast<int8_t>(static_cast<int32_t>((q + kRound) - kRound));
      }
      if (loss == nullptr) continue;
      add_loss(data + at, out + at, scale.data(), width, losses[static_cast<size_t>(index)]);
    }
  };
  for_each_strip(weights, format, body);
  for (const WeightLoss& one : losses) loss->add(one);
  return integers;
}

}  // namespace

WeightLimits weight_limits(const WeightFormat& format) {
  const IntegerRange range = integer_range(format.dtype, dtype_bits(format.dtype) >= 8);
  if (!format.reduce_range) return {range.min, range.max};
  return {range.min / 2, range.max / 2};
}

Dims scale_shape(const Dims& shape, const WeightFormat& format) {
  if (format.axis < 0) return {};
  const auto axis = static_cast<size_t>(format.axis);
  if (format.block_size == 0) return {shape[axis]};
  Dims blocks = shape;
  blocks[axis] = (shape[axis] + format.block_size - 1) / format.block_size;
  return blocks;
}

std::vector<float> scale_shares(const WeightFormat& format) {
  if (format.range == WeightRange::kMinMax) return {1.0f};
  // Clipping pays the more the fewer the steps: to 0.7 of the magnitude with 8 bits, to 0.4 below.
  constexpr int kCandidates = 16;
  const float most_clipped = dtype_bits(format.dtype) >= 8 ? 0.3f : 0.6f;
  std::vector<float> shares;
  for (int i = 0; i < kCandidates; ++i) {
    shares.push_back(1 - most_clipped * static_cast<float>(i) / kCandidates);
  }
  return shares;
}

double WeightLoss::sqnr_db() const {
  if (noise == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(signal / noise);
}

QuantizedWeights quantized_weights(const Tensor& weights, const WeightFormat& format,
                                   WeightLoss* loss) {
  if (format.block_size == 0) {
    Tensor scales = weight_scales(weights, format);
    Tensor integers = packed(unpacked_integers(weights, scales, format, loss), format.dtype);
    return {std::move(integers), std::move(scales)};
  }
  Tensor scales = Tensor::allocate(DType::kFloat, scale_shape(weights.shape(), format));
  Tensor integers = Tensor::allocate(DType::kInt8, weights.shape());
  quantize_blocks(weights, format, scales.mutable_data<float>(), integers.mutable_data<int8_t>(),
                  loss);
  return {packed(integers, format.dtype), std::move(scales)};
}

Tensor weight_scales(const Tensor& weights, const WeightFormat& format) {
  Tensor scales = Tensor::allocate(DType::kFloat, scale_shape(weights.shape(), format));
  float* out = scales.mutable_data<float>();
  std::fill(out, out + scales.size(), 1.0f);
  if (format.block_size > 0) {
    quantize_blocks(weights, format, out, nullptr, nullptr);
    return scales;
  }
  const float* data = weights.data<float>();
  for_each_strip(weights, format, [&](const Panel& panel, int64_t first, int64_t width, int64_t) {
    Columns columns(width);
    choose_scales(data + panel.first + first, panel, width, format, columns);
    for (int64_t c = 0; c < width; c += panel.run) {
      out[panel.first_scale + (first + c) / panel.run] = columns.best[static_cast<size_t>(c)];
    }
  });
  scale_zeros(scales);
  return scales;
}

Tensor quantize_weights(const Tensor& weights, const Tensor& scales, const WeightFormat& format) {
  return packed(unpacked_integers(weights, scales, format, nullptr), format.dtype);
}

Tensor dequantize_weights(const Tensor& integers, const Tensor& scales,
                          const WeightFormat& format) {
  Tensor weights = Tensor::allocate(DType::kFloat, integers.shape());
  float* out = weights.mutable_data<float>();
  const float* scale_data = scales.data<float>();
  const std::vector<float> values = to_floats(integers);
  for_each_strip(weights, format, [&](const Panel& panel, int64_t first, int64_t width, int64_t) {
    std::vector<float> scale(static_cast<size_t>(width));
    load_scales(scale_data, panel, first, width, scale.data());
    for (int64_t row = 0; row < panel.rows; ++row) {
      const int64_t at = panel.first + row * panel.columns + first;
      for (int64_t c = 0; c < width; ++c) {
        out[at + c] = values[static_cast<size_t>(at + c)] * scale[static_cast<size_t>(c)];
      }
    }
  });
  return weights;
}

}  // namespace dwindle
