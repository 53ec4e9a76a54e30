// Constant per-channel scale and shift, and the layers that can take them into their weights.
#pragma once

#include <optional>
#include <vector>

#include "core/ir/model.h"

namespace dwindle::passes {

// y[c] = scale[c] · x[c] + shift[c] over channels c.
struct Affine {
  std::vector<double> scale, shift;

  size_t channels() const { return scale.size(); }
  bool shifts() const;
};

// A Conv, ConvTranspose, Gemm or MatMul with constant weights of floating point that it alone uses.
class LinearLayer {
 public:
  // None where `node` is no such layer.
  static std::optional<LinearLayer> of(Model& model, Node& node);

  Node& node() const { return *node_; }
  int64_t out_channels() const { return out_channels_; }
  int64_t in_channels() const { return in_channels_; }
  // Rank of its output where that is known; the channels are on axis 1, of Gemm and MatMul on the
  // last.
  std::optional<int64_t> output_rank() const;
  bool is_conv() const { return kind_ == Kind::kConv || kind_ == Kind::kConvTranspose; }

  // Makes the layer compute affine(layer(x)). False, with nothing changed, where it cannot: the
  // bias is not constant, a MatMul of more than two axes should shift, or a result is not finite.
  bool absorb_after(const Affine& affine);

  // Makes the layer compute layer(affine(x)), where `affine` has a channel per `in_channels()`, or
  // one for every run of in_channels() / channels() of them (before a flattening of the axes behind
  // the channels). False, with nothing changed, where it cannot, as for a shift before padding.
  bool absorb_before(const Affine& affine);

 private:
  enum class Kind { kConv, kConvTranspose, kGemm, kMatMul };
  LinearLayer(Model& model, Node& node, Kind kind) : model_(&model), node_(&node), kind_(kind) {}

  bool measure();
  bool pads() const;
  // Channels of output and input that weight element i belongs to, of all its groups.
  struct Place {
    size_t out, in;
  };
  template <typename Visit>
  void for_each_weight(Visit&& visit) const;
  std::optional<std::vector<double>> bias() const;  // per output channel; zeros where absent
  bool write(const std::vector<double>& weights, const std::vector<double>& bias, bool with_bias);

  Model* model_;
  Node* node_;
  Kind kind_;
  int64_t out_channels_ = 0, in_channels_ = 0, groups_ = 1;
  int64_t taps_ = 1;         // spatial extent of a kernel
  bool transposed_ = false;  // Gemm's transB
};

// The elements of a real tensor of floating point as doubles; none for other dtypes.
std::optional<std::vector<double>> to_doubles(const Tensor& tensor);
// Rounds to `dtype`: float, double, float16 or bfloat16.
Tensor from_doubles(const std::vector<double>& values, DType dtype, Dims dims);

}  // namespace dwindle::passes
