// Normalizations without weights: LpNormalization, MeanVarianceNormalization, LRN.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/ops/axis_view.h"
#include "core/ops/broadcast.h"
#include "core/ops/dispatch.h"
#include "core/ops/elementwise.h"
#include "core/ops/families.h"
#include "core/ops/reduce_axes.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

// --- LpNormalization --------------------------------------------------------------------------

// x / norm along the axis; 0 where the norm is 0.
template <typename T>
void lp_normalize(const T* x, T* out, const AxisView& view, bool squared) {
  std::vector<T> norms(static_cast<size_t>(view.inner));
  for (int64_t o = 0; o < view.outer; ++o) {
    const int64_t base = o * view.extent * view.inner;
    std::fill(norms.begin(), norms.end(), T{0});
    for (int64_t e = 0; e < view.extent; ++e) {
      const T* row = x + base + e * view.inner;
      for (int64_t i = 0; i < view.inner; ++i) {
        norms[static_cast<size_t>(i)] += squared ? row[i] * row[i] : std::abs(row[i]);
      }
    }
    for (T& norm : norms) norm = squared ? std::sqrt(norm) : norm;
    for (int64_t e = 0; e < view.extent; ++e) {
      for (int64_t i = 0; i < view.inner; ++i) {
        const int64_t at = base + e * view.inner + i;
        const T norm = norms[static_cast<size_t>(i)];
        out[at] = norm == 0 ? T{0} : x[at] / norm;
      }
    }
  }
}

Kernel lp_normalization_kernel(const Node& node, int) {
  const int64_t p = node.int_attribute("p", 2);
  const int64_t axis = node.int_attribute("axis", -1);
  if (p != 1 && p != 2) {
    throw BadModel("LpNormalization node '" + node.name + "': p is " + std::to_string(p) +
                   ", not 1 or 2");
  }
  return [=](KernelContext& c) {
    const Tensor& x = c.input(0);
    const AxisView view(x.shape(), c.normalize_axis(axis, x.rank()));
    dispatch(c, FloatTypes{}, x.dtype(), [&]<typename T>(TypeTag<T>) {
      T* out = c.output(0, x.dtype(), x.shape()).template mutable_data<T>();
      if (x.size() > 0) lp_normalize(x.data<T>(), out, view, p == 2);
    });
  };
}

// --- MeanVarianceNormalization ----------------------------------------------------------------

// (x - mean) / (deviation + 1e-9), the spec's own constant.
template <typename T>
void mean_variance_normalize(const T* x, T* out, const ReduceAxes& axes) {
  const double n = static_cast<double>(axes.reduced_count());
  parallel_for(axes.kept_count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t base = axes.kept_offset(r);
      auto sum = [&](auto term) {
        double total = 0;
        axes.for_each_reduced_run([&](int64_t offset, int64_t count, int64_t stride) {
          for (int64_t i = 0; i < count; ++i) total += term(x[base + offset + i * stride]);
        });
        return total;
      };
      const double mean = sum([](T value) { return static_cast<double>(value); }) / n;
      const double variance = sum([mean](T value) { return (value - mean) * (value - mean); }) / n;
      const double inverse = 1.0 / (std::sqrt(variance) + 1e-9);
      axes.for_each_reduced_run([&](int64_t offset, int64_t count, int64_t stride) {
        for (int64_t i = 0; i < count; ++i) {
          const int64_t at = base + offset + i * stride;
          out[at] = static_cast<T>((x[at] - mean) * inverse);
        }
      });
    }
  });
}

Kernel mean_variance_kernel(const Node& node, int) {
  const auto given = node.ints_attribute("axes").value_or(std::vector<int64_t>{0, 2, 3});
  return [given](KernelContext& c) {
    const Tensor& x = c.input(0);
    std::vector<int64_t> axes = given;
    for (int64_t& axis : axes) axis = c.normalize_axis(axis, x.rank());
    std::sort(axes.begin(), axes.end());
    axes.erase(std::unique(axes.begin(), axes.end()), axes.end());
    dispatch(c, FloatTypes{}, x.dtype(), [&]<typename T>(TypeTag<T>) {
      T* out = c.output(0, x.dtype(), x.shape()).template mutable_data<T>();
      mean_variance_normalize(x.data<T>(), out, ReduceAxes(x.shape(), axes));
    });
  };
}

// --- LRN --------------------------------------------------------------------------------------

struct Lrn {
  explicit Lrn(const Node& node)
      : size(node.int_attribute("size", 0)),
        alpha(node.float_attribute("alpha", 1e-4f)),
        beta(node.float_attribute("beta", 0.75f)),
        bias(node.float_attribute("bias", 1.0f)) {
    if (size < 1) throw BadModel("LRN node '" + node.name + "': size must be positive");
  }

  // Every channel against the squares of its neighbours, position by position.
  template <typename T>
  void run(const T* x, T* out, int64_t batch, int64_t channels, int64_t inner) const {
    const T factor = static_cast<T>(alpha) / static_cast<T>(size);
    const int64_t before = (size - 1) / 2, after = size - 1 - before;
    parallel_for(batch * channels, 1, [&](int64_t begin, int64_t end) {
      std::vector<T> squares(static_cast<size_t>(inner));
      for (int64_t i = begin; i < end; ++i) {
        const int64_t n = i / channels, c = i % channels;
        std::fill(squares.begin(), squares.end(), T{0});
        for (int64_t k = std::max<int64_t>(0, c - before); k <= std::min(channels - 1, c + after);
             ++k) {
          const T* row = x + (n * channels + k) * inner;
          for (int64_t j = 0; j < inner; ++j) squares[static_cast<size_t>(j)] += row[j] * row[j];
        }
        for (int64_t j = 0; j < inner; ++j) {
          const T base = static_cast<T>(bias) + factor * squares[static_cast<size_t>(j)];
          out[i * inner + j] = x[i * inner + j] / std::pow(base, static_cast<T>(beta));
        }
      }
    });
  }

  int64_t size;
  float alpha, beta, bias;
};

Kernel lrn_kernel(const Node& node, int) {
  return [lrn = Lrn(node)](KernelContext& c) {
    const Tensor& x = c.input(0);
    if (x.rank() < 2) c.fail("input has shape " + to_string(x.shape()));
    const AxisView view(x.shape(), 1);
    dispatch(c, FloatTypes{}, x.dtype(), [&]<typename T>(TypeTag<T>) {
      T* out = c.output(0, x.dtype(), x.shape()).template mutable_data<T>();
      if (x.size() > 0) lrn.run(x.data<T>(), out, view.outer, view.extent, view.inner);
    });
  };
}

}  // namespace

std::span<const OpRow> local_norm_ops() {
  static constexpr OpRow kRows[] = {
      {"", "LpNormalization", 1, infer_same, lp_normalization_kernel},
      {"", "MeanVarianceNormalization", 9, infer_same, mean_variance_kernel},
      {"", "LRN", 1, infer_same, lrn_kernel},
  };
  return kRows;
}

}  // namespace dwindle
