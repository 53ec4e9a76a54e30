// Signal processing: window functions, DFT, STFT, MelWeightMatrix.
#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include "core/ops/args.h"
#include "core/ops/families.h"
#include "core/ops/move.h"
#include "core/support/error.h"
#include "core/support/threads.h"

namespace dwindle {
namespace {

constexpr int64_t kLongest = int64_t{1} << 30;

template <typename Context>
std::optional<int64_t> one_integer(const Context& c, size_t i) {
  const auto values = integers_of(c, i);
  if (!values) return std::nullopt;
  if (values->size() != 1) c.fail("input " + std::to_string(i) + " must be one number");
  return (*values)[0];
}

DType output_dtype(const Node& node) {
  const auto dtype = static_cast<DType>(node.int_attribute("output_datatype", 1));
  if (!is_known_dtype(static_cast<int32_t>(dtype))) {
    throw BadModel(node.op_type + " node '" + node.name + "': output_datatype is not known");
  }
  return dtype;
}

// Real numbers as a tensor of the dtype that the node asks for.
Tensor real_tensor(KernelContext& c, Dims shape, const std::vector<double>& values) {
  const DType dtype = output_dtype(c.node());
  if (dtype == DType::kDouble) return Tensor::of<double>(std::move(shape), values);
  const std::vector<float> floats(values.begin(), values.end());
  if (dtype == DType::kFloat) return Tensor::of<float>(std::move(shape), floats);
  c.unsupported("an output of " + std::string(dtype_name(dtype)));
}

// ---- Windows -----------------------------------------------------------------------------------

void infer_window(InferContext& c) {
  const auto size = one_integer(c, 0);
  c.set_output(0, output_dtype(c.node()), Shape{size && *size >= 0 ? Dim(*size) : Dim()});
}

// a0 - a1 · cos(2πn/N) + a2 · cos(4πn/N)
struct CosineWindow {
  double a0, a1, a2;
};

CosineWindow window_of(const Node& node) {
  if (node.op_type == "HannWindow") return {0.5, 0.5, 0};
  if (node.op_type == "HammingWindow") return {25.0 / 46, 21.0 / 46, 0};
  return {0.42, 0.5, 0.08};
}

Kernel window_kernel(const Node& node, int) {
  const bool periodic = node.int_attribute("periodic", 1) != 0;
  return [window = window_of(node), periodic](KernelContext& c) {
    const int64_t size = one_integer(c, 0).value_or(0);
    if (size < 0 || size > kLongest) c.fail("size is out of range");
    const int64_t period = periodic ? size : size - 1;
    if (size > 0 && period == 0) c.unsupported("a symmetric window of one element");
    std::vector<double> values;
    for (int64_t i = 0; i < size; ++i) {
      const double angle =
          2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(period);
      values.push_back(window.a0 - window.a1 * std::cos(angle) + window.a2 * std::cos(2 * angle));
    }
    c.set_output(0, real_tensor(c, {size}, values));
  };
}

// ---- The transform -----------------------------------------------------------------------------

using Complex = std::complex<double>;

// Without the checks for infinities that the product of std::complex has.
Complex times(const Complex& a, const Complex& b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

// A discrete Fourier transform of one length, by Stockham's algorithm: a pass for each prime factor
// of the length. What is left of a large prime costs its square.
class Transform {
 public:
  Transform(int64_t length, bool inverse) : length_(length) {
    const double sign = inverse ? 1 : -1;
    for (int64_t i = 0; i < length; ++i) {
      const double angle =
          sign * 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(length);
      roots_.emplace_back(std::cos(angle), std::sin(angle));
    }
    for (int64_t rest = length, factor = 2; rest > 1; ++factor) {
      if (factor * factor > rest) factor = rest;
      for (; rest % factor == 0; rest /= factor) factors_.push_back(factor);
    }
  }

  std::vector<Complex> operator()(std::vector<Complex> x) const {
    std::vector<Complex> y(x.size());
    int64_t stride = 1;  // transforms side by side
    for (const int64_t factor : factors_) {
      factor == 2 ? halve(stride, x.data(), y.data()) : divide(factor, stride, x.data(), y.data());
      stride *= factor;
      std::swap(x, y);
    }
    return x;
  }

 private:
  const Complex& root(int64_t power) const { return roots_[static_cast<size_t>(power % length_)]; }

  void halve(int64_t stride, const Complex* x, Complex* y) const {
    const int64_t half = length_ / stride / 2;
    for (int64_t p = 0; p < half; ++p) {
      const Complex turn = root(p * stride);
      for (int64_t q = 0; q < stride; ++q) {
        const Complex a = x[q + stride * p];
        const Complex b = x[q + stride * (p + half)];
        y[q + stride * 2 * p] = a + b;
        y[q + stride * (2 * p + 1)] = times(a - b, turn);
      }
    }
  }

  // The same for `factor` parts: the part k of each group is its sum at frequency k.
  void divide(int64_t factor, int64_t stride, const Complex* x, Complex* y) const {
    const int64_t part = length_ / stride / factor;
    const int64_t step = length_ / factor;
    for (int64_t p = 0; p < part; ++p) {
      for (int64_t k = 0; k < factor; ++k) {
        const Complex turn = root(p * k * stride);
        Complex* to = y + stride * (factor * p + k);
        for (int64_t q = 0; q < stride; ++q) {
          Complex sum = 0;
          for (int64_t j = 0; j < factor; ++j) {
            sum += times(x[q + stride * (p + part * j)], root(j * k % factor * step));
          }
          to[q] = times(sum, turn);
        }
      }
    }
  }

  int64_t length_;
  std::vector<int64_t> factors_;  // primes, least first
  std::vector<Complex> roots_;
};

// ---- DFT ---------------------------------------------------------------------------------------

// The axis: an attribute of opset 17, an input from 20 on. None where not known yet.
template <typename Context>
std::optional<int64_t> dft_axis(const Context& c, int opset, int64_t rank) {
  std::optional<int64_t> axis = opset < 20 ? c.node().int_attribute("axis", 1) : -2;
  if (opset >= 20 && has_argument(c, 2)) axis = one_integer(c, 2);
  if (!axis) return std::nullopt;
  axis = c.normalize_axis(*axis, rank);
  if (*axis == rank - 1) c.fail("the axis is that of the real and imaginary parts");
  return axis;
}

void infer_dft(InferContext& c) {
  const auto& in = c.shape(0);
  if (!in || in->size() < 2) return c.set_output(0, c.dtype(0));
  Shape out = *in;
  const bool onesided = c.node().int_attribute("onesided", 0) != 0;
  out.back() = onesided && c.node().int_attribute("inverse", 0) != 0 ? Dim(1) : Dim(2);
  const auto axis = dft_axis(c, c.opset(), static_cast<int64_t>(in->size()));
  if (!axis) {
    std::fill(out.begin(), out.end() - 1, Dim());
  } else {
    Dim& dim = out[static_cast<size_t>(*axis)];
    if (c.has_input(1)) {
      const auto length = one_integer(c, 1);
      dim = length && *length >= 0 ? Dim(*length) : Dim();
    }
    if (onesided) dim = out.back().extent == 2 && dim.known() ? Dim(dim.extent / 2 + 1) : Dim();
  }
  c.set_output(0, c.dtype(0), std::move(out));
}

template <typename T>
void dft(KernelContext& c, int opset) {
  const Tensor& in = c.input(0);
  const bool inverse = c.node().int_attribute("inverse", 0) != 0;
  const bool onesided = c.node().int_attribute("onesided", 0) != 0;
  const Dims& dims = in.shape();
  if (dims.size() < 2 || dims.back() < 1 || dims.back() > 2) c.fail("the last axis must be 1 or 2");
  if (inverse && onesided) c.unsupported("a one-sided inverse");
  if (onesided && dims.back() != 1) c.fail("a one-sided transform takes real numbers");
  const auto axis = static_cast<size_t>(*dft_axis(c, opset, in.rank()));
  int64_t length = dims[axis];
  if (c.has_input(1)) length = one_integer(c, 1).value_or(length);
  if (length < 1 || length > kLongest) c.fail("dft_length is out of range");
  const int64_t kept = onesided ? length / 2 + 1 : length;
  Dims shape = dims;
  shape[axis] = kept;
  shape.back() = 2;
  T* to = c.output(0, in.dtype(), shape).template mutable_data<T>();
  if (element_count(shape) == 0) return;
  const T* from = in.data<T>();
  const int64_t parts = dims.back();
  const int64_t inner = row_major_strides(dims)[axis] / parts;
  const int64_t outer = element_count(shape) / (kept * inner * 2);
  const Transform transform(length, inverse);
  const double scale = inverse ? 1.0 / static_cast<double>(length) : 1;
  parallel_for(outer * inner, 1, [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line) {
      std::vector<Complex> values(static_cast<size_t>(length));
      for (int64_t i = 0; i < std::min(length, dims[axis]); ++i) {
        const T* at = from + ((line / inner * dims[axis] + i) * inner + line % inner) * parts;
        values[static_cast<size_t>(i)] = {static_cast<double>(at[0]),
                                          parts == 2 ? static_cast<double>(at[1]) : 0};
      }
      values = transform(std::move(values));
      for (int64_t i = 0; i < kept; ++i) {
        T* at = to + ((line / inner * kept + i) * inner + line % inner) * 2;
        at[0] = static_cast<T>(values[static_cast<size_t>(i)].real() * scale);
        at[1] = static_cast<T>(values[static_cast<size_t>(i)].imag() * scale);
      }
    }
  });
}

Kernel dft_kernel(const Node&, int opset) {
  return [opset](KernelContext& c) {
    if (c.input(0).dtype() == DType::kDouble) return dft<double>(c, opset);
    dft<float>(c, opset);
  };
}

// ---- STFT --------------------------------------------------------------------------------------

// Extents of a short-time transform.
struct Frames {
  int64_t length, step, count, bins;
};

// [batch, length] is taken for [batch, length, 1]: exporters of PyTorch write real signals so, and
// ONNX Runtime runs them.
Dims signal_dims(Dims given) {
  if (given.size() == 2) given.push_back(1);
  return given;
}

template <typename Context>
std::optional<Frames> frames_of(const Context& c, const Dims& signal,
                                const std::optional<Dims>& window) {
  if (signal.size() != 3 || signal[2] < 1 || signal[2] > 2) {
    c.fail("the signal must be [batch, length] or [batch, length, 1 or 2]");
  }
  const auto step = one_integer(c, 1);
  std::optional<int64_t> length;
  if (has_argument(c, 3)) {
    length = one_integer(c, 3);
  } else if (window && window->size() == 1) {
    length = (*window)[0];
  }
  if (!step || !length) return std::nullopt;
  if (*step < 1 || *length < 1 || *length > signal[1]) c.fail("the frames are out of range");
  const bool onesided = c.node().int_attribute("onesided", 1) != 0;
  return Frames{*length, *step, (signal[1] - *length) / *step + 1,
                onesided ? *length / 2 + 1 : *length};
}

void infer_stft(InferContext& c) {
  Shape out = {Dim(), Dim(), Dim(), Dim(2)};
  const auto given = c.dims(0);
  const Dims signal = given ? signal_dims(*given) : Dims();
  const auto frames = given ? frames_of(c, signal, c.dims(2)) : std::nullopt;
  if (frames) out = {signal[0], frames->count, frames->bins, 2};
  c.set_output(0, c.dtype(0), std::move(out));
}

template <typename T>
void stft(KernelContext& c) {
  const Dims signal = signal_dims(c.input(0).shape());
  const auto window = c.has_input(2) ? std::optional(c.input(2).shape()) : std::optional<Dims>();
  const auto frames = frames_of(c, signal, window);
  if (!frames) c.fail("neither a window nor frame_length is given");
  if (window && *window != Dims{frames->length}) c.fail("the window does not fit frame_length");
  const T* weights = window ? c.input(2).data<T>() : nullptr;
  const T* from = c.input(0).data<T>();
  T* to = c.output(0, c.input(0).dtype(), {signal[0], frames->count, frames->bins, 2})
              .template mutable_data<T>();
  const Transform transform(frames->length, false);
  parallel_for(signal[0] * frames->count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t frame = begin; frame < end; ++frame) {
      const int64_t start =
          frame / frames->count * signal[1] + frame % frames->count * frames->step;
      std::vector<Complex> values;
      for (int64_t i = 0; i < frames->length; ++i) {
        const T* at = from + (start + i) * signal[2];
        const double weight = weights == nullptr ? 1 : static_cast<double>(weights[i]);
        values.emplace_back(weight * at[0], signal[2] == 2 ? weight * at[1] : 0);
      }
      values = transform(std::move(values));
      for (int64_t i = 0; i < frames->bins; ++i) {
        to[(frame * frames->bins + i) * 2] = static_cast<T>(values[static_cast<size_t>(i)].real());
        to[(frame * frames->bins + i) * 2 + 1] =
            static_cast<T>(values[static_cast<size_t>(i)].imag());
      }
    }
  });
}

Kernel stft_kernel(const Node&, int) {
  return [](KernelContext& c) {
    if (c.input(0).dtype() == DType::kDouble) return stft<double>(c);
    stft<float>(c);
  };
}

// ---- MelWeightMatrix ---------------------------------------------------------------------------

void infer_mel(InferContext& c) {
  const auto mels = one_integer(c, 0), length = one_integer(c, 1);
  c.set_output(0, output_dtype(c.node()),
               Shape{length && *length >= 0 ? Dim(*length / 2 + 1) : Dim(),
                     mels && *mels >= 0 ? Dim(*mels) : Dim()});
}

// Triangles, evenly spaced in mels, over the bins of a spectrum.
void mel_weights(KernelContext& c) {
  const int64_t mels = one_integer(c, 0).value_or(0), length = one_integer(c, 1).value_or(0);
  const int64_t rate = one_integer(c, 2).value_or(0);
  const std::vector<float> low = to_floats(c.input(3)), high = to_floats(c.input(4));
  if (mels < 0 || length < 0 || rate < 1 || low.size() != 1 || high.size() != 1 ||
      mels > kLongest || length > kLongest) {
    c.fail("an argument is out of range");
  }
  const int64_t bins = length / 2 + 1;
  auto to_mel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  const double first = to_mel(low[0]);
  const double step = (to_mel(high[0]) - first) / static_cast<double>(mels + 2);
  std::vector<int64_t> edges;
  for (int64_t i = 0; i < mels + 2; ++i) {
    const double hertz = 700 * (std::pow(10, (static_cast<double>(i) * step + first) / 2595) - 1);
    const double bin =
        std::floor(static_cast<double>(length + 1) * hertz / static_cast<double>(rate));
    if (!(bin >= 0 && bin < static_cast<double>(bins))) c.fail("a band lies outside the spectrum");
    edges.push_back(static_cast<int64_t>(bin));
  }
  std::vector<double> weights(static_cast<size_t>(element_count({bins, mels})), 0.0);
  for (int64_t i = 0; i < mels; ++i) {
    const auto at = static_cast<size_t>(i);
    const int64_t lower = edges[at], center = edges[at + 1], upper = edges[at + 2];
    auto weight = [&](int64_t bin) -> double& {
      return weights[static_cast<size_t>(bin * mels + i)];
    };
    if (center == lower) weight(center) = 1;
    for (int64_t k = lower; k <= center && center > lower; ++k) {
      weight(k) = static_cast<double>(k - lower) / static_cast<double>(center - lower);
    }
    for (int64_t k = center; k < upper; ++k) {
      weight(k) = static_cast<double>(upper - k) / static_cast<double>(upper - center);
    }
  }
  c.set_output(0, real_tensor(c, {bins, mels}, weights));
}

Kernel mel_kernel(const Node&, int) { return mel_weights; }

}  // namespace

std::span<const OpRow> signal_ops() {
  static constexpr OpRow kRows[] = {
      {"", "HannWindow", 17, infer_window, window_kernel},
      {"", "HammingWindow", 17, infer_window, window_kernel},
      {"", "BlackmanWindow", 17, infer_window, window_kernel},
      {"", "DFT", 17, infer_dft, dft_kernel},
      {"", "STFT", 17, infer_stft, stft_kernel},
      {"", "MelWeightMatrix", 17, infer_mel, mel_kernel},
  };
  return kRows;
}

}  // namespace dwindle
