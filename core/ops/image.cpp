// Col2Im and CenterCropPad.
#include <algorithm>

#include "core/ops/args.h"
#include "core/ops/families.h"
#include "core/ops/move.h"
#include "core/ops/window.h"

namespace dwindle {
namespace {

// ---- Col2Im ------------------------------------------------------------------------------------

void infer_col2im(InferContext& c) {
  const auto& in = c.shape(0);
  const auto image = shape_from_input(c, 1);
  const auto block = c.integers(2);
  if (!image) return c.set_output(0, c.dtype(0));
  Shape out = {in && in->size() == 3 ? (*in)[0] : Dim(), Dim()};
  if (in && in->size() == 3 && (*in)[1].known() && block) {
    const int64_t size = element_count(*block);
    if (size > 0 && (*in)[1].extent % size == 0) out[1] = (*in)[1].extent / size;
  }
  out.insert(out.end(), image->begin(), image->end());
  c.set_output(0, c.dtype(0), std::move(out));
}

// Walks the places of a box in row-major order.
bool advance(Dims& index, const Dims& extents) {
  for (size_t i = index.size(); i-- > 0;) {
    if (++index[i] < extents[i]) return true;
    index[i] = 0;
  }
  return false;
}

template <typename T>
void col2im(KernelContext& c, const Dims& image, const Dims& block, const Window& window,
            const Dims& places) {
  const Tensor& in = c.input(0);
  const int64_t taps = element_count(block), columns = in.shape()[2];
  const int64_t channels = in.shape()[1] / taps;
  Dims shape = {in.shape()[0], channels};
  shape.insert(shape.end(), image.begin(), image.end());
  Tensor out = Tensor::zeros(in.dtype(), shape);
  T* to = out.mutable_data<T>();
  const T* from = in.data<T>();
  const int64_t size = element_count(image);
  for (int64_t plane = 0; plane < in.shape()[0] * channels && columns > 0; ++plane) {
    Dims tap(block.size(), 0);
    do {
      Dims place(places.size(), 0);
      do {
        int64_t offset = 0;
        bool inside = true;
        for (size_t i = 0; i < place.size(); ++i) {
          const WindowAxis& axis = window.axes[i];
          const int64_t at = place[i] * axis.stride + tap[i] * axis.dilation - axis.pad_begin;
          inside = inside && at >= 0 && at < image[i];
          offset = offset * image[i] + at;
        }
        if (inside) to[plane * size + offset] += *from;
        ++from;
      } while (advance(place, places));
    } while (advance(tap, block));
  }
  c.set_output(0, std::move(out));
}

void col2im_op(KernelContext& c) {
  const Tensor& in = c.input(0);
  const Dims image = to_int64s(c.input(1)), block = to_int64s(c.input(2));
  if (in.rank() != 3 || image.empty() || image.size() != block.size()) {
    c.fail("the input, image_shape and block_shape do not fit");
  }
  Window window = read_window(c.node(), block);
  const int64_t taps = element_count(block);
  Dims places;
  for (size_t i = 0; i < image.size(); ++i) {
    if (image[i] < 1) c.fail("image_shape is out of range");
    places.push_back(place_windows(c.node(), window, image[i], window.axes[i]));
  }
  if (in.shape()[1] % taps != 0 || element_count(places) != in.shape()[2]) {
    c.fail("the input does not have the blocks of this image");
  }
  if (in.dtype() == DType::kFloat) return col2im<float>(c, image, block, window, places);
  if (in.dtype() == DType::kDouble) return col2im<double>(c, image, block, window, places);
  c.unsupported("an image of " + std::string(dtype_name(in.dtype())));
}

Kernel col2im_kernel(const Node&, int) { return col2im_op; }

// ---- CenterCropPad -----------------------------------------------------------------------------

template <typename Context>
std::vector<int64_t> crop_axes(const Context& c, int64_t rank) {
  std::vector<int64_t> axes;
  if (const auto given = c.node().ints_attribute("axes")) {
    axes = *given;
    normalize_axes(c, axes, rank);
  } else {
    for (int64_t i = 0; i < rank; ++i) axes.push_back(i);
  }
  for (int64_t& axis : axes) axis = c.normalize_axis(axis, rank);
  return axes;
}

void infer_center(InferContext& c) {
  const auto& in = c.shape(0);
  if (!in) return c.set_output(0, c.dtype(0));
  const auto axes = crop_axes(c, static_cast<int64_t>(in->size()));
  const auto target = c.elements(1);
  Shape out = *in;
  for (size_t i = 0; i < axes.size(); ++i) {
    const bool known = target && i < target->size();
    out[static_cast<size_t>(axes[i])] = known ? to_dim((*target)[i]) : Dim();
  }
  c.set_output(0, c.dtype(0), std::move(out));
}

void center_crop_pad(KernelContext& c) {
  const Tensor& in = c.input(0);
  const std::vector<int64_t> target = to_int64s(c.input(1));
  const auto axes = crop_axes(c, in.rank());
  if (axes.size() != target.size()) c.fail("shape must have one number an axis");
  Dims shape = in.shape();
  for (size_t i = 0; i < axes.size(); ++i) {
    if (target[i] < 0) c.fail("shape has a negative extent");
    shape[static_cast<size_t>(axes[i])] = target[i];
  }
  Tensor& out = c.output(0, in.dtype(), shape);
  IndexMaps maps;
  for (size_t i = 0; i < shape.size(); ++i) {
    const int64_t from = in.shape()[i], to = shape[i];
    const int64_t shift = from >= to ? (from - to) / 2 : -((to - from) / 2);
    std::vector<int64_t> map;
    for (int64_t k = 0; k < to; ++k) {
      map.push_back(k + shift >= 0 && k + shift < from ? k + shift : -1);
    }
    maps.push_back(std::move(map));
  }
  const size_t width = element_bytes(in.dtype());
  const std::vector<std::byte> zero(width, std::byte{0});
  copy_mapped(width, in.bytes(), in.shape(), maps, zero.data(), out.mutable_bytes());
}

Kernel center_kernel(const Node&, int) { return any_dtype(center_crop_pad, 1u << 0); }

}  // namespace

std::span<const OpRow> image_ops() {
  static constexpr OpRow kRows[] = {
      {"", "Col2Im", 18, infer_col2im, col2im_kernel},
      {"", "CenterCropPad", 18, infer_center, center_kernel, 0, kNoTraits, kNative},
  };
  return kRows;
}

}  // namespace dwindle
