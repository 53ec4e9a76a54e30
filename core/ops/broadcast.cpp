#include "core/ops/broadcast.h"

namespace dwindle {

Dims broadcast_dims(const KernelContext& c, const std::vector<const Dims*>& shapes) {
  size_t rank = 0;
  for (const Dims* shape : shapes) rank = std::max(rank, shape->size());
  Dims out(rank, 1);
  for (const Dims* shape : shapes) {
    const size_t lead = rank - shape->size();
    for (size_t i = 0; i < shape->size(); ++i) {
      const int64_t extent = (*shape)[i];
      int64_t& common = out[lead + i];
      if (extent == common || extent == 1) continue;
      if (common != 1) {
        std::string all;
        for (const Dims* each : shapes) all += (all.empty() ? "" : " and ") + to_string(*each);
        c.fail("shapes " + all + " do not broadcast");
      }
      common = extent;
    }
  }
  return out;
}

MergedAxes merge_axes(const Dims& out, const std::vector<const Dims*>& shapes) {
  MergedAxes merged;
  if (element_count(out) == 0) return {{{0, 0}}};
  for (size_t i = 0; i < out.size(); ++i) {
    if (out[i] == 1) continue;
    uint32_t moving = 0;
    for (size_t k = 0; k < shapes.size(); ++k) {
      const size_t lead = out.size() - shapes[k]->size();
      if (i >= lead && (*shapes[k])[i - lead] != 1) moving |= 1u << k;
    }
    if (!merged.axes.empty() && merged.axes.back().moving == moving) {
      merged.axes.back().extent *= out[i];
    } else {
      merged.axes.push_back({out[i], moving});
    }
  }
  if (merged.axes.empty()) merged.axes.push_back({1, 0});
  return merged;
}

}  // namespace dwindle
