// BatchNormalization and InstanceNormalization: every channel shifted and scaled.
#include "core/ops/batch_norm.h"

#include <cmath>
#include <vector>

#include "core/ops/broadcast.h"
#include "core/ops/dispatch.h"
#include "core/ops/elementwise.h"
#include "core/ops/families.h"
#include "core/ops/lanes.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

// [N, C, ...]: channels of `inner` elements each.
struct Channels {
  int64_t batch, count, inner;
};

Channels channels_of(const Dims& shape) {
  Channels channels{1, 1, 1};
  // A vector is a batch of one channel.
  if (!shape.empty()) channels.batch = shape[0];
  if (shape.size() > 1) channels.count = shape[1];
  for (size_t i = 2; i < shape.size(); ++i) channels.inner *= shape[i];
  return channels;
}

// Parameter i, one number a channel.
template <typename T>
const T* per_channel(const KernelContext& c, size_t i, int64_t count) {
  const Tensor& tensor = c.input(i);
  if (tensor.size() != count) {
    c.fail("input " + std::to_string(i) + " has shape " + to_string(tensor.shape()) + " for " +
           std::to_string(count) + " channels");
  }
  if (tensor.dtype() != c.input(0).dtype()) c.fail("its inputs differ in dtype");
  return tensor.data<T>();
}

// out = x · scale + shift, channel by channel.
template <typename T>
void scale_channels(const T* x, T* out, const Channels& s, const std::vector<T>& scale,
                    const std::vector<T>& shift) {
  if (s.inner == 1) {
    const int64_t grain = std::max<int64_t>(1, kElementGrain / std::max<int64_t>(s.count, 1));
    parallel_for(s.batch, grain, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        const T* __restrict from = x + n * s.count;
        T* __restrict to = out + n * s.count;
        for (int64_t i = 0; i < s.count; ++i) {
          to[i] = from[i] * scale[static_cast<size_t>(i)] + shift[static_cast<size_t>(i)];
        }
      }
    });
    return;
  }
  const int64_t grain = std::max<int64_t>(1, kElementGrain / std::max<int64_t>(s.inner, 1));
  parallel_for(s.batch * s.count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T a = scale[static_cast<size_t>(i % s.count)];
      const T b = shift[static_cast<size_t>(i % s.count)];
      const T* __restrict from = x + i * s.inner;
      T* __restrict to = out + i * s.inner;
      for (int64_t j = 0; j < s.inner; ++j) to[j] = from[j] * a + b;
    }
  });
}

// (x - mean) / sqrt(variance + epsilon) · scale + bias as one multiplication and addition.
struct Factor {
  double scale, shift;
};
Factor factor_of(double scale, double bias, double mean, double variance, float epsilon) {
  const double factor = scale / std::sqrt(variance + static_cast<double>(epsilon));
  return {factor, bias - mean * factor};
}

template <typename T>
void normalize(KernelContext& c, const Channels& s, const std::vector<double>& mean,
               const std::vector<double>& variance, float epsilon) {
  const T* scale = per_channel<T>(c, 1, s.count);
  const T* bias = per_channel<T>(c, 2, s.count);
  std::vector<T> factors(mean.size()), shifts(mean.size());
  for (size_t i = 0; i < mean.size(); ++i) {
    const Factor factor = factor_of(scale[i], bias[i], mean[i], variance[i], epsilon);
    factors[i] = static_cast<T>(factor.scale);
    shifts[i] = static_cast<T>(factor.shift);
  }
  const Tensor& x = c.input(0);
  T* out = c.output(0, x.dtype(), x.shape()).template mutable_data<T>();
  scale_channels(x.data<T>(), out, s, factors, shifts);
}

// --- BatchNormalization -----------------------------------------------------------------------

// Mean and population variance of every channel over the batch.
template <typename T>
void statistics(const T* x, const Channels& s, std::vector<double>& mean,
                std::vector<double>& variance) {
  const double count = static_cast<double>(s.batch * s.inner);
  for (int64_t i = 0; i < s.count; ++i) {
    auto sum_of_terms = [&](auto term) {
      double sum = 0;
      for (int64_t n = 0; n < s.batch; ++n) {
        sum += fold_lanes(
            x + (n * s.count + i) * s.inner, s.inner, 0.0, [](double a, double b) { return a + b; },
            [=](T value) { return term(static_cast<double>(value)); });
      }
      return sum;
    };
    const double average = sum_of_terms([](double value) { return value; }) / count;
    mean.push_back(average);
    variance.push_back(
        sum_of_terms([=](double value) { return (value - average) * (value - average); }) / count);
  }
}

template <typename T>
void write_running(KernelContext& c, size_t output, const T* before,
                   const std::vector<double>& current, float momentum) {
  if (!c.wants_output(output)) return;
  T* out = c.output(output, DTypeOf<T>::value, {static_cast<int64_t>(current.size())})
               .template mutable_data<T>();
  for (size_t i = 0; i < current.size(); ++i) {
    out[i] = static_cast<T>(before[i] * static_cast<double>(momentum) +
                            current[i] * (1.0 - static_cast<double>(momentum)));
  }
}

struct BatchNorm {
  BatchNorm(const Node& node, int opset)
      : epsilon(node.float_attribute("epsilon", 1e-5f)),
        momentum(node.float_attribute("momentum", 0.9f)),
        training(opset >= 14 && node.int_attribute("training_mode", 0) != 0) {
    if (opset < 9 && node.int_attribute("spatial", 1) == 0) {
      throw Unsupported("BatchNormalization node '" + node.name +
                        "': spatial = 0 is not supported");
    }
  }

  template <typename T>
  void run(KernelContext& c) const {
    const Channels s = channels_of(c.input(0).shape());
    const T* input_mean = per_channel<T>(c, 3, s.count);
    const T* input_variance = per_channel<T>(c, 4, s.count);
    std::vector<double> mean, variance;
    if (training) {
      statistics(c.input(0).data<T>(), s, mean, variance);
      write_running(c, 1, input_mean, mean, momentum);
      write_running(c, 2, input_variance, variance, momentum);
    } else {
      mean.assign(input_mean, input_mean + s.count);
      variance.assign(input_variance, input_variance + s.count);
    }
    normalize<T>(c, s, mean, variance, epsilon);
  }

  float epsilon, momentum;
  bool training;
};

Kernel batch_norm_kernel(const Node& node, int opset) {
  const BatchNorm norm(node, opset);
  const bool refused = takes_batch_statistics(node, opset) && !norm.training;
  return [=](KernelContext& c) {
    if (refused) c.unsupported("training mode of this opset");
    dispatch(c, FloatTypes{}, c.input(0).dtype(), [&]<typename T>(TypeTag<T>) { norm.run<T>(c); });
  };
}

void infer_batch_norm(InferContext& c) {
  infer_same(c);
  for (size_t i = 1; i < c.node().num_outputs(); ++i) c.set_output(i, c.dtype(3), c.shape(3));
}

// --- InstanceNormalization --------------------------------------------------------------------

template <typename T>
void instance_norm(KernelContext& c, float epsilon) {
  const Tensor& x = c.input(0);
  if (x.rank() < 2) c.fail("input has shape " + to_string(x.shape()));
  const Channels s = channels_of(x.shape());
  const T* scale = per_channel<T>(c, 1, s.count);
  const T* bias = per_channel<T>(c, 2, s.count);
  T* out = c.output(0, x.dtype(), x.shape()).template mutable_data<T>();
  const T* in = x.data<T>();
  const int64_t grain = std::max<int64_t>(1, kElementGrain / 4 / std::max<int64_t>(s.inner, 1));
  parallel_for(s.batch * s.count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      std::vector<double> mean, variance;
      statistics(in + i * s.inner, Channels{1, 1, s.inner}, mean, variance);
      const double factor =
          scale[i % s.count] / std::sqrt(variance[0] + static_cast<double>(epsilon));
      const T a = static_cast<T>(factor);
      const T b = bias[i % s.count];
      const T center = static_cast<T>(mean[0]);
      const T* __restrict from = in + i * s.inner;
      T* __restrict to = out + i * s.inner;
      for (int64_t j = 0; j < s.inner; ++j) to[j] = (from[j] - center) * a + b;
    }
  });
}

Kernel instance_norm_kernel(const Node& node, int) {
  const float epsilon = node.float_attribute("epsilon", 1e-5f);
  return [epsilon](KernelContext& c) {
    dispatch(c, FloatTypes{}, c.input(0).dtype(),
             [&]<typename T>(TypeTag<T>) { instance_norm<T>(c, epsilon); });
  };
}

constexpr uint32_t kScaleAndBias = 1u << 1 | 1u << 2;

}  // namespace

bool takes_batch_statistics(const Node& node, int opset) {
  if (node.int_attribute("training_mode", 0) != 0) return true;
  for (size_t i = 1; i < node.num_outputs(); ++i) {
    const Value* output = node.output(i);
    if (output != nullptr && (opset < 14 || !output->unused())) return true;
  }
  return false;
}

std::optional<ChannelAffine> constant_batch_norm(const Node& node, int opset) {
  if (!node.is("BatchNormalization") || opset < 7) return std::nullopt;
  if (takes_batch_statistics(node, opset) || node.int_attribute("spatial", 1) != 1) {
    return std::nullopt;
  }
  std::span<const float> parameters[4];  // scale, bias, mean, variance
  for (size_t i = 0; i < 4; ++i) {
    const Value* value = node.input(i + 1);
    const Tensor* tensor = value == nullptr ? nullptr : value->constant();
    if (tensor == nullptr || tensor->dtype() != DType::kFloat || tensor->rank() != 1) {
      return std::nullopt;
    }
    parameters[i] = {tensor->data<float>(), static_cast<size_t>(tensor->size())};
    if (parameters[i].size() != parameters[0].size()) return std::nullopt;
  }
  const auto& [scale, bias, mean, variance] = parameters;
  const float epsilon = node.float_attribute("epsilon", 1e-5f);
  ChannelAffine affine;
  for (size_t i = 0; i < scale.size(); ++i) {
    const Factor factor = factor_of(scale[i], bias[i], mean[i], variance[i], epsilon);
    affine.scale.push_back(static_cast<float>(factor.scale));
    affine.shift.push_back(static_cast<float>(factor.shift));
  }
  return affine;
}

std::span<const OpRow> batch_norm_ops() {
  static constexpr OpRow kRows[] = {
      {"", "BatchNormalization", 7, infer_batch_norm, batch_norm_kernel,
       kScaleAndBias | 1u << 3 | 1u << 4},
      {"", "InstanceNormalization", 6, infer_same, instance_norm_kernel, kScaleAndBias},
  };
  return kRows;
}

}  // namespace dwindle
