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

template <size_t N>
Broadcast<N>::Broadcast(const KernelContext& c, const std::vector<const Dims*>& shapes)
    : shape_(broadcast_dims(c, shapes)), size_(element_count(shape_)) {
  const MergedAxes merged = merge_axes(shape_, shapes);
  inner_ = merged.axes.back().extent;
  for (size_t k = 0; k < N; ++k) steps_[k] = (merged.axes.back().moving >> k) & 1u;
  Offsets stride;
  for (size_t k = 0; k < N; ++k) stride[k] = steps_[k] ? inner_ : 1;
  for (size_t i = merged.axes.size() - 1; i-- > 0;) {
    Outer outer{merged.axes[i].extent, {}};
    for (size_t k = 0; k < N; ++k) {
      const bool moves = (merged.axes[i].moving >> k) & 1u;
      outer.stride[k] = moves ? stride[k] : 0;
      if (moves) stride[k] *= outer.extent;
    }
    outer_.push_back(outer);
  }
}

template <size_t N>
void Broadcast<N>::for_each_run(int64_t grain, const Run& run) const {
  if (size_ == 0) return;
  parallel_for(size_, grain, [&](int64_t begin, int64_t end) { range(begin, end, run); });
}

template <size_t N>
void Broadcast<N>::range(int64_t begin, int64_t end, const Run& run) const {
  std::vector<int64_t> index(outer_.size(), 0);  // innermost first
  Offsets base{};
  int64_t rest = begin / inner_;
  for (size_t i = 0; i < outer_.size(); ++i) {
    index[i] = rest % outer_[i].extent;
    rest /= outer_[i].extent;
    for (size_t k = 0; k < N; ++k) base[k] += index[i] * outer_[i].stride[k];
  }
  int64_t within = begin % inner_;
  for (int64_t at = begin; at < end;) {
    const int64_t count = std::min(inner_ - within, end - at);
    Offsets offsets = base;
    for (size_t k = 0; k < N; ++k) offsets[k] += steps_[k] ? within : 0;
    run(at, offsets, count);
    at += count;
    within = 0;
    for (size_t i = 0; i < outer_.size(); ++i) {
      for (size_t k = 0; k < N; ++k) base[k] += outer_[i].stride[k];
      if (++index[i] < outer_[i].extent) break;
      for (size_t k = 0; k < N; ++k) base[k] -= outer_[i].extent * outer_[i].stride[k];
      index[i] = 0;
    }
  }
}

template class Broadcast<2>;
template class Broadcast<3>;

}  // namespace dwindle
