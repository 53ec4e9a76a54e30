#include "passes/quantize/stream_weights.h"

#include <cmath>

#include "core/quant/weight_slabs.h"

namespace dwindle::passes {
namespace {

constexpr int64_t kSlab = 4 << 20;  // elements: 16 MB of floats
constexpr size_t kSmall = 1 << 12;  // bytes that are not worth a place in a file

std::span<const std::byte> bytes_of(const Tensor& tensor) {
  return {tensor.bytes(), tensor.nbytes()};
}

// Room of a tensor in the spill, filled from front to back.
class SpilledTensor {
 public:
  SpilledTensor(Spill& spill, DType dtype, Dims shape)
      : spill_(spill),
        dtype_(dtype),
        shape_(std::move(shape)),
        size_(packed_bytes(dtype, element_count(shape_))),
        offset_(spill.reserve(size_)) {}

  void append(const Tensor& part) {
    spill_.write(offset_ + written_, bytes_of(part));
    written_ += part.nbytes();
  }
  Tensor mapped() const {
    std::shared_ptr<const MappedFile> file = spill_.map(offset_, size_);
    const std::byte* data = file->bytes().data();
    return Tensor::borrow(dtype_, shape_, data, std::move(file), /*mapped=*/true);
  }

 private:
  Spill& spill_;
  DType dtype_;
  Dims shape_;
  size_t size_, written_ = 0;
  uint64_t offset_;
};

Tensor part_of(const Tensor& weights, const WeightSlab& slab) {
  return Tensor::borrow(DType::kFloat, slab.shape, weights.data<float>() + slab.first,
                        weights.owner());
}

QuantizedWeights through_file(const Tensor& weights, const WeightFormat& format, Spill& spill,
                              WeightLoss& loss) {
  SpilledTensor integers(spill, format.dtype, weights.shape());
  SpilledTensor scales(spill, DType::kFloat, scale_shape(weights.shape(), format));
  const std::vector<WeightSlab> slabs = weight_slabs(weights.shape(), format, kSlab);
  for (size_t i = 0; i < slabs.size(); ++i) {
    const Tensor part = part_of(weights, slabs[i]);
    if (i + 1 < slabs.size()) read_ahead(bytes_of(part_of(weights, slabs[i + 1])));
    const QuantizedWeights quantized = quantized_weights(part, slabs[i].format, &loss);
    give_back_pages(bytes_of(part));
    integers.append(quantized.integers);
    scales.append(quantized.scales);
  }
  give_back_pages(bytes_of(weights));  // what the system has read around the slabs
  return {integers.mapped(), scales.mapped()};
}

}  // namespace

StreamedWeights stream_weights(const WeightSite& site, const WeightOptions& options,
                               const std::vector<double>& means, Spill& spill) {
  require_finite_bias(site);
  StreamedWeights streamed{{site, parameters_of(site), {}, {}, {}}, {}};
  PlannedWeights& planned = streamed.planned;
  const Tensor& real = planned.real.weights;
  planned.format = weight_format(site, real, options);
  const bool external = site.weights()->constant()->mapped();
  if (external && packed_bytes(planned.format.dtype, real.size()) > kSmall) {
    planned.quantized = through_file(real, planned.format, spill, streamed.loss);
  } else {
    planned.quantized = quantized_weights(real, planned.format, &streamed.loss);
  }
  // The sum of squares has met every element: only where it is not finite they are looked through.
  if (!std::isfinite(streamed.loss.signal)) require_finite_parameters(site);
  plan_bias(planned, means);
  return streamed;
}

}  // namespace dwindle::passes
