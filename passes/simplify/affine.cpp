#include "passes/simplify/affine.h"

#include <algorithm>
#include <cmath>

#include "core/ops/half.h"
#include "passes/simplify/rewrite.h"

namespace dwindle::passes {

bool Affine::shifts() const {
  return std::any_of(shift.begin(), shift.end(), [](double value) { return value != 0; });
}

std::optional<std::vector<double>> to_doubles(const Tensor& tensor) {
  if (tensor.dtype() == DType::kDouble) {
    const auto values = tensor.values<double>();
    return std::vector<double>(values.begin(), values.end());
  }
  if (tensor.dtype() != DType::kFloat && !is_half(tensor.dtype())) return std::nullopt;
  const std::vector<float> floats = to_floats(tensor);
  return std::vector<double>(floats.begin(), floats.end());
}

Tensor from_doubles(const std::vector<double>& values, DType dtype, Dims dims) {
  if (dtype == DType::kDouble) return Tensor::of<double>(std::move(dims), values);
  Tensor tensor =
      Tensor::of<float>(std::move(dims), std::vector<float>(values.begin(), values.end()));
  return dtype == DType::kFloat ? tensor : float_to_half(tensor, dtype);
}

std::optional<LinearLayer> LinearLayer::of(Model& model, Node& node) {
  std::optional<LinearLayer> layer;
  if (is_op(model, node, "Conv")) layer = LinearLayer(model, node, Kind::kConv);
  if (is_op(model, node, "ConvTranspose")) layer = LinearLayer(model, node, Kind::kConvTranspose);
  // Before opset 7 Gemm broadcast its bias by an attribute.
  if (is_op(model, node, "Gemm", 7)) layer = LinearLayer(model, node, Kind::kGemm);
  if (is_op(model, node, "MatMul")) layer = LinearLayer(model, node, Kind::kMatMul);
  if (!layer || !layer->measure()) return std::nullopt;
  return layer;
}

bool LinearLayer::measure() {
  const Value* value = node_->input(1);
  const Tensor* weights = value == nullptr ? nullptr : value->constant();
  if (weights == nullptr || value->uses().size() != 1 || value->is_graph_output()) return false;
  const bool floats = weights->dtype() == DType::kFloat || weights->dtype() == DType::kDouble ||
                      is_half(weights->dtype());
  if (!floats || weights->rank() < 2 || weights->size() == 0) return false;
  const Dims& dims = weights->shape();
  if (is_conv()) {
    groups_ = node_->int_attribute("group", 1);
    if (groups_ < 1 || dims[0] % groups_ != 0) return false;
    const bool transpose = kind_ == Kind::kConvTranspose;
    out_channels_ = transpose ? dims[1] * groups_ : dims[0];
    in_channels_ = transpose ? dims[0] : dims[1] * groups_;
    taps_ = weights->size() / (dims[0] * dims[1]);
    return true;
  }
  if (weights->rank() != 2) return false;
  transposed_ = kind_ == Kind::kGemm && node_->int_attribute("transB", 0) != 0;
  in_channels_ = dims[transposed_ ? 1 : 0];
  out_channels_ = dims[transposed_ ? 0 : 1];
  return true;
}

std::optional<int64_t> LinearLayer::output_rank() const {
  if (is_conv()) return node_->input(1)->constant()->rank();
  if (kind_ == Kind::kGemm) return 2;
  const auto& shape = node_->output()->type.shape;
  return shape ? std::optional(static_cast<int64_t>(shape->size())) : std::nullopt;
}

bool LinearLayer::pads() const {
  if (!is_conv()) return false;
  const std::string automatic = node_->string_attribute("auto_pad", "NOTSET");
  if (automatic == "VALID") return false;
  if (automatic != "NOTSET") return true;
  const auto pads = node_->ints_attribute("pads").value_or(std::vector<int64_t>());
  return std::any_of(pads.begin(), pads.end(), [](int64_t pad) { return pad != 0; });
}

template <typename Visit>
void LinearLayer::for_each_weight(Visit&& visit) const {
  const Dims& dims = node_->input(1)->constant()->shape();
  const auto rows = static_cast<size_t>(dims[0]), columns = static_cast<size_t>(dims[1]);
  const auto taps = static_cast<size_t>(taps_),
             rows_per_group = rows / static_cast<size_t>(groups_);
  size_t i = 0;
  for (size_t row = 0; row < rows; ++row) {
    const size_t first = row / rows_per_group * columns;  // of the group's channels on axis 1
    for (size_t column = 0; column < columns; ++column) {
      const bool rows_are_outputs = kind_ == Kind::kConv || transposed_;
      const Place place =
          rows_are_outputs ? Place{row, first + column} : Place{first + column, row};
      for (size_t tap = 0; tap < taps; ++tap) visit(i++, place);
    }
  }
}

std::optional<std::vector<double>> LinearLayer::bias() const {
  const auto channels = static_cast<size_t>(out_channels_);
  const Value* value = kind_ == Kind::kMatMul ? nullptr : node_->input(2);
  if (value == nullptr) return std::vector<double>(channels, 0);
  const Tensor* tensor = value->constant();
  if (tensor == nullptr) return std::nullopt;
  auto bias = to_doubles(*tensor);
  // Gemm broadcasts it: one element, or a row.
  const bool row = tensor->size() == out_channels_ &&
                   (tensor->rank() == 0 || tensor->shape().back() == out_channels_);
  if (!bias || (!row && tensor->size() != 1)) return std::nullopt;
  if (bias->size() == 1) bias->resize(channels, bias->front());
  if (kind_ == Kind::kGemm) {
    const double beta = node_->float_attribute("beta", 1);
    for (double& element : *bias) element *= beta;
  }
  return bias;
}

bool LinearLayer::write(const std::vector<double>& weights, const std::vector<double>& bias,
                        bool with_bias) {
  if (with_bias && kind_ == Kind::kMatMul) {
    // Only Gemm has a bias, and only of matrices.
    const Value* input = node_->input(0);
    if (output_rank() != 2 || input == nullptr || !input->type.shape ||
        input->type.shape->size() != 2 || model_->opset() < 7) {
      return false;
    }
  }
  Value& old = *node_->input(1);
  const DType dtype = old.constant()->dtype();
  const Tensor new_weights = from_doubles(weights, dtype, old.constant()->shape());
  const Tensor new_bias = from_doubles(bias, dtype, {out_channels_});
  for (const Tensor& tensor : {new_weights, new_bias}) {
    for (float value : to_floats(tensor)) {
      if (!std::isfinite(value)) return false;
    }
  }
  replace_constant(*model_, *node_, 1, old.name(), new_weights);
  if (!with_bias) return true;
  replace_constant(*model_, *node_, 2, node_->input(1)->name() + "_bias", new_bias);
  node_->remove_attribute("beta");
  if (kind_ == Kind::kMatMul) node_->op_type = "Gemm";
  return true;
}

bool LinearLayer::absorb_after(const Affine& affine) {
  if (affine.channels() != static_cast<size_t>(out_channels_)) return false;
  auto weights = to_doubles(*node_->input(1)->constant());
  auto shifted = bias();
  if (!weights || !shifted) return false;
  for_each_weight([&](size_t i, Place place) { (*weights)[i] *= affine.scale[place.out]; });
  bool any_bias = kind_ != Kind::kMatMul && node_->input(2) != nullptr;
  for (size_t c = 0; c < shifted->size(); ++c) {
    (*shifted)[c] = (*shifted)[c] * affine.scale[c] + affine.shift[c];
  }
  any_bias |= affine.shifts();
  return write(*weights, *shifted, any_bias);
}

bool LinearLayer::absorb_before(const Affine& affine) {
  const auto inputs = static_cast<size_t>(in_channels_);
  if (affine.channels() == 0 || inputs % affine.channels() != 0) return false;
  const size_t run = inputs / affine.channels();
  if (run > 1 && is_conv()) return false;
  // Padding is zero behind the affine step, and each tap of a transposed convolution reaches
  // other outputs: a shift would not be the same everywhere.
  if (affine.shifts() && (pads() || kind_ == Kind::kConvTranspose)) return false;
  if (kind_ == Kind::kGemm && node_->int_attribute("transA", 0) != 0) return false;
  auto weights = to_doubles(*node_->input(1)->constant());
  auto shifted = bias();
  if (!weights || !shifted) return false;
  const double alpha = kind_ == Kind::kGemm ? node_->float_attribute("alpha", 1) : 1;
  for_each_weight([&](size_t i, Place place) {
    (*shifted)[place.out] += alpha * (*weights)[i] * affine.shift[place.in / run];
    (*weights)[i] *= affine.scale[place.in / run];
  });
  const bool had_bias = kind_ != Kind::kMatMul && node_->input(2) != nullptr;
  return write(*weights, *shifted, had_bias || affine.shifts());
}

}  // namespace dwindle::passes
