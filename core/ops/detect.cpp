// Ops of detectors: NonMaxSuppression, RoiAlign, MaxRoiPool.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "core/ops/args.h"
#include "core/ops/families.h"
#include "core/support/error.h"
#include "core/support/threads.h"

namespace dwindle {
namespace {

constexpr int64_t kMostPixels = int64_t{1} << 30;

// ---- NonMaxSuppression -------------------------------------------------------------------------

void infer_nms(InferContext& c) { c.set_output(0, DType::kInt64, Shape{Dim(), Dim(3)}); }

// Corners, the lesser first.
struct Box {
  float y0, x0, y1, x1;

  float area() const { return (y1 - y0) * (x1 - x0); }
};

Box read_box(const float* from, bool centered) {
  if (centered) {
    const float x = from[0], y = from[1], w = from[2] / 2, h = from[3] / 2;
    return {y - h, x - w, y + h, x + w};
  }
  return {std::min(from[0], from[2]), std::min(from[1], from[3]), std::max(from[0], from[2]),
          std::max(from[1], from[3])};
}

bool overlap(const Box& a, const Box& b, float most) {
  const float h = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  const float w = std::min(a.x1, b.x1) - std::max(a.x0, b.x0);
  if (!(h > 0) || !(w > 0) || !(a.area() > 0) || !(b.area() > 0)) return false;
  const float common = h * w;
  return common / (a.area() + b.area() - common) > most;
}

template <typename T>
T number(const KernelContext& c, size_t i, T otherwise) {
  if (!c.has_input(i)) return otherwise;
  if (c.input(i).size() != 1) c.fail("input " + std::to_string(i) + " must be one number");
  return c.input(i).data<T>()[0];
}

void nms(KernelContext& c, bool centered) {
  const Tensor& boxes = c.input(0);
  const Tensor& scores = c.input(1);
  const Dims &b = boxes.shape(), &s = scores.shape();
  if (b.size() != 3 || b[2] != 4 || s.size() != 3 || s[0] != b[0] || s[2] != b[1]) {
    c.fail("boxes " + to_string(b) + " and scores " + to_string(s) + " do not fit");
  }
  const int64_t most = number<int64_t>(c, 2, 0);
  const float overlap_most = number<float>(c, 3, 0);
  const float least = number<float>(c, 4, -std::numeric_limits<float>::infinity());
  if (!(overlap_most >= 0 && overlap_most <= 1)) c.fail("iou_threshold is not in [0, 1]");
  std::vector<int64_t> selected;
  for (int64_t row = 0; row < s[0] * s[1] && most > 0; ++row) {
    const float* score = scores.data<float>() + row * s[2];
    const float* corner = boxes.data<float>() + row / s[1] * s[2] * 4;
    std::vector<int64_t> order;
    for (int64_t i = 0; i < s[2]; ++i) {
      if (c.has_input(4) ? score[i] > least : !std::isnan(score[i])) order.push_back(i);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t x, int64_t y) { return score[x] > score[y]; });
    std::vector<Box> kept;
    for (int64_t i : order) {
      if (static_cast<int64_t>(kept.size()) >= most) break;
      const Box box = read_box(corner + i * 4, centered);
      const bool hidden = std::any_of(kept.begin(), kept.end(), [&](const Box& other) {
        return overlap(box, other, overlap_most);
      });
      if (hidden) continue;
      kept.push_back(box);
      selected.insert(selected.end(), {row / s[1], row % s[1], i});
    }
  }
  c.set_output(0, Tensor::of<int64_t>({static_cast<int64_t>(selected.size() / 3), 3}, selected));
}

Kernel nms_kernel(const Node& node, int) {
  const bool centered = node.int_attribute("center_point_box", 0) != 0;
  return [centered](KernelContext& c) { nms(c, centered); };
}

// ---- RoiAlign ----------------------------------------------------------------------------------

void infer_roi_align(InferContext& c) {
  Shape out = {Dim(), Dim(), c.node().int_attribute("output_height", 1),
               c.node().int_attribute("output_width", 1)};
  if (const auto& rois = c.shape(1); rois && !rois->empty()) out[0] = (*rois)[0];
  if (const auto& x = c.shape(0); x && x->size() > 1) out[1] = (*x)[1];
  c.set_output(0, c.dtype(0), std::move(out));
}

struct RoiAlign {
  bool max = false, half_pixel = true;
  int64_t out_h = 1, out_w = 1, sampling = 0;
  float scale = 1;
};

// One bilinear sample: four elements and their weights; none where it lies outside.
struct Sample {
  std::array<int64_t, 4> at;
  std::array<float, 4> weight;
};

// The neighbours of `at` along an axis, and the second one's weight.
struct Neighbours {
  int64_t low, high;
  float part;
};

std::optional<Neighbours> neighbours(float at, int64_t extent) {
  if (!(at >= -1 && at <= static_cast<float>(extent))) return std::nullopt;
  at = std::max(at, 0.0f);
  const auto low = static_cast<int64_t>(at);
  if (low >= extent - 1) return Neighbours{extent - 1, extent - 1, 0};
  return Neighbours{low, low + 1, at - static_cast<float>(low)};
}

// The samples of one bin in order, the same for all channels.
std::vector<Sample> bin_samples(const std::array<float, 2>& start, const std::array<float, 2>& bin,
                                const std::array<int64_t, 2>& grid, int64_t h, int64_t w) {
  std::vector<Sample> samples;
  for (int64_t iy = 0; iy < grid[0]; ++iy) {
    const float dy = (static_cast<float>(iy) + 0.5f) * bin[0] / static_cast<float>(grid[0]);
    const auto y = neighbours(start[0] + dy, h);
    for (int64_t ix = 0; ix < grid[1]; ++ix) {
      const float dx = (static_cast<float>(ix) + 0.5f) * bin[1] / static_cast<float>(grid[1]);
      const auto x = neighbours(start[1] + dx, w);
      if (!x || !y) {
        samples.push_back({{0, 0, 0, 0}, {0, 0, 0, 0}});
        continue;
      }
      samples.push_back(
          {{y->low * w + x->low, y->low * w + x->high, y->high * w + x->low, y->high * w + x->high},
           {(1 - y->part) * (1 - x->part), (1 - y->part) * x->part, y->part * (1 - x->part),
            y->part * x->part}});
    }
  }
  return samples;
}

// Max is that of the weighted corners, not of their sums: so ONNX's own tests have it.
float pool(const std::vector<Sample>& samples, const float* plane, bool max) {
  float total = max ? -std::numeric_limits<float>::infinity() : 0;
  for (const Sample& sample : samples) {
    for (size_t i = 0; i < 4; ++i) {
      const float part = sample.weight[i] * plane[sample.at[i]];
      total = max ? std::max(total, part) : total + part;
    }
  }
  if (samples.empty()) return 0;
  return max ? total : total / static_cast<float>(samples.size());
}

void roi_align(KernelContext& c, const RoiAlign& rule) {
  const Tensor& x = c.input(0);
  const Tensor& rois = c.input(1);
  const std::vector<int64_t> batches = to_int64s(c.input(2));
  if (x.rank() != 4 || rois.rank() != 2 || rois.shape()[1] != 4 ||
      static_cast<int64_t>(batches.size()) != rois.shape()[0]) {
    c.fail("the input, the rois and the batch indices do not fit");
  }
  const int64_t channels = x.shape()[1], h = x.shape()[2], w = x.shape()[3];
  for (int64_t batch : batches) {
    if (batch < 0 || batch >= x.shape()[0]) c.fail("a batch index is out of range");
  }
  if (h < 1 || w < 1) c.fail("the input has an empty spatial axis");
  const float* boxes = rois.data<float>();
  const float* from = x.data<float>();
  float* to = c.output(0, DType::kFloat, {rois.shape()[0], channels, rule.out_h, rule.out_w})
                  .mutable_data<float>();
  parallel_for(rois.shape()[0], 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float shift = rule.half_pixel ? 0.5f : 0;
      const float x0 = boxes[r * 4] * rule.scale - shift,
                  y0 = boxes[r * 4 + 1] * rule.scale - shift;
      float roi_w = boxes[r * 4 + 2] * rule.scale - shift - x0;
      float roi_h = boxes[r * 4 + 3] * rule.scale - shift - y0;
      if (!rule.half_pixel) {
        roi_w = std::max(roi_w, 1.0f);
        roi_h = std::max(roi_h, 1.0f);
      }
      const std::array<float, 2> bin = {roi_h / static_cast<float>(rule.out_h),
                                        roi_w / static_cast<float>(rule.out_w)};
      auto grid = [&](float size) {
        if (rule.sampling > 0) return rule.sampling;
        return static_cast<int64_t>(std::clamp(std::ceil(size), 0.0f, 4096.0f));
      };
      for (int64_t bin_at = 0; bin_at < rule.out_h * rule.out_w; ++bin_at) {
        const auto py = static_cast<float>(bin_at / rule.out_w);
        const auto px = static_cast<float>(bin_at % rule.out_w);
        const auto samples = bin_samples({y0 + py * bin[0], x0 + px * bin[1]}, bin,
                                         {grid(bin[0]), grid(bin[1])}, h, w);
        for (int64_t k = 0; k < channels; ++k) {
          const int64_t plane = batches[static_cast<size_t>(r)] * channels + k;
          to[(r * channels + k) * rule.out_h * rule.out_w + bin_at] =
              pool(samples, from + plane * h * w, rule.max);
        }
      }
    }
  });
}

Kernel roi_align_kernel(const Node& node, int opset) {
  RoiAlign rule;
  const std::string mode = node.string_attribute("mode", "avg");
  const std::string coordinates = node.string_attribute(
      "coordinate_transformation_mode", opset >= 16 ? "half_pixel" : "output_half_pixel");
  rule.max = mode == "max";
  rule.half_pixel = coordinates == "half_pixel";
  rule.out_h = node.int_attribute("output_height", 1);
  rule.out_w = node.int_attribute("output_width", 1);
  rule.sampling = node.int_attribute("sampling_ratio", 0);
  rule.scale = node.float_attribute("spatial_scale", 1);
  if ((!rule.max && mode != "avg") || (!rule.half_pixel && coordinates != "output_half_pixel") ||
      rule.out_h < 1 || rule.out_w < 1 || rule.out_h > kMostPixels || rule.out_w > kMostPixels ||
      rule.sampling < 0 || rule.sampling > 4096) {
    throw BadModel("RoiAlign node '" + node.name + "': an attribute is out of range");
  }
  return [rule](KernelContext& c) { roi_align(c, rule); };
}

// ---- MaxRoiPool --------------------------------------------------------------------------------

std::vector<int64_t> pooled_shape(const Node& node) {
  const auto shape = node.ints_attribute("pooled_shape");
  if (!shape || shape->size() != 2 || (*shape)[0] < 1 || (*shape)[1] < 1 ||
      (*shape)[0] > kMostPixels || (*shape)[1] > kMostPixels) {
    throw BadModel("MaxRoiPool node '" + node.name + "': pooled_shape is out of range");
  }
  return *shape;
}

void infer_max_roi_pool(InferContext& c) {
  const auto pooled = pooled_shape(c.node());
  Shape out = {Dim(), Dim(), pooled[0], pooled[1]};
  if (const auto& rois = c.shape(1); rois && !rois->empty()) out[0] = (*rois)[0];
  if (const auto& x = c.shape(0); x && x->size() > 1) out[1] = (*x)[1];
  c.set_output(0, c.dtype(0), std::move(out));
}

// The elements that bin `i` of `bins` covers of [start, start + size), within [0, extent).
std::array<int64_t, 2> bin_range(int64_t i, int64_t bins, int64_t start, int64_t size,
                                 int64_t extent) {
  const float bin = static_cast<float>(size) / static_cast<float>(bins);
  const auto low = static_cast<int64_t>(std::floor(static_cast<float>(i) * bin));
  const auto high = static_cast<int64_t>(std::ceil(static_cast<float>(i + 1) * bin));
  return {std::clamp<int64_t>(low + start, 0, extent),
          std::clamp<int64_t>(high + start, 0, extent)};
}

void max_roi_pool(KernelContext& c) {
  const auto pooled = pooled_shape(c.node());
  const float scale = c.node().float_attribute("spatial_scale", 1);
  const Tensor& x = c.input(0);
  const Tensor& rois = c.input(1);
  if (x.rank() != 4 || rois.rank() != 2 || rois.shape()[1] != 5) c.fail("the inputs do not fit");
  const int64_t channels = x.shape()[1], h = x.shape()[2], w = x.shape()[3];
  float* to = c.output(0, DType::kFloat, {rois.shape()[0], channels, pooled[0], pooled[1]})
                  .mutable_data<float>();
  for (int64_t r = 0; r < rois.shape()[0]; ++r) {
    const float* roi = rois.data<float>() + r * 5;
    int64_t corner[4];
    for (int i = 0; i < 4; ++i) {
      const float at = std::round(roi[i + 1] * scale);
      if (!(std::fabs(at) < static_cast<float>(kMostPixels))) c.fail("a roi is out of range");
      corner[i] = static_cast<int64_t>(at);
    }
    if (!(roi[0] >= 0 && roi[0] < static_cast<float>(x.shape()[0]))) c.fail("a roi has no batch");
    const int64_t wide = std::max<int64_t>(corner[2] - corner[0] + 1, 1);
    const int64_t high = std::max<int64_t>(corner[3] - corner[1] + 1, 1);
    for (int64_t k = 0; k < channels; ++k) {
      const float* plane = x.data<float>() + (static_cast<int64_t>(roi[0]) * channels + k) * h * w;
      for (int64_t i = 0; i < pooled[0] * pooled[1]; ++i) {
        const auto rows = bin_range(i / pooled[1], pooled[0], corner[1], high, h);
        const auto columns = bin_range(i % pooled[1], pooled[1], corner[0], wide, w);
        const bool empty = rows[1] <= rows[0] || columns[1] <= columns[0];
        float best = empty ? 0 : std::numeric_limits<float>::lowest();
        for (int64_t y = rows[0]; y < rows[1]; ++y) {
          for (int64_t z = columns[0]; z < columns[1]; ++z) best = std::max(best, plane[y * w + z]);
        }
        *to++ = best;
      }
    }
  }
}

Kernel max_roi_pool_kernel(const Node&, int) { return max_roi_pool; }

}  // namespace

std::span<const OpRow> detect_ops() {
  static constexpr OpRow kRows[] = {
      {"", "NonMaxSuppression", 10, infer_nms, nms_kernel},
      {"", "RoiAlign", 10, infer_roi_align, roi_align_kernel},
      {"", "MaxRoiPool", 1, infer_max_roi_pool, max_roi_pool_kernel},
  };
  return kRows;
}

}  // namespace dwindle
