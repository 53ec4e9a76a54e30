// A folder of images: decoded, normalized, laid out as the model wants them, batched.
#include <algorithm>
#include <charconv>

#include "core/data/folders.h"
#include "core/data/image.h"
#include "core/data/model_inputs.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

struct ImageFormat {
  bool channels_first = false;
  int64_t channels = 3;
  Dim height, width;
  int64_t fixed_batch = 0;  // 0: any
};

bool is_channels(const Dim& dim) {
  return dim.known() && (dim.extent == 1 || dim.extent == 3 || dim.extent == 4);
}

ImageFormat find_format(const InputSpec& input, const std::string& layout) {
  if (!input.type.shape || input.type.shape->size() != 4) {
    throw BadData("images need an input of four axes; '" + input.name + "' is " +
                  to_string(input.type));
  }
  const Shape& shape = *input.type.shape;
  if (!layout.empty() && layout != "nchw" && layout != "nhwc") {
    throw BadOption("layout is 'nchw' or 'nhwc', not '" + layout + "'");
  }
  if (layout.empty() && is_channels(shape[1]) == is_channels(shape[3])) {
    throw BadOption("'" + input.name + "' is " + to_string(input.type) +
                    ": say whether it is nchw or nhwc with the option layout");
  }
  ImageFormat format;
  format.channels_first = layout.empty() ? is_channels(shape[1]) : layout == "nchw";
  const Dim& channels = shape[format.channels_first ? 1 : 3];
  if (channels.known() && !is_channels(channels)) {
    throw BadData("'" + input.name + "' is " + to_string(input.type) + ": as " +
                  (format.channels_first ? "nchw" : "nhwc") + " it has " +
                  std::to_string(channels.extent) + " channels, which no image has");
  }
  if (channels.known()) format.channels = channels.extent;
  format.height = shape[format.channels_first ? 2 : 1];
  format.width = shape[format.channels_first ? 3 : 2];
  if (shape[0].known()) format.fixed_batch = shape[0].extent;
  return format;
}

// The integer that a file name starts with.
std::optional<int64_t> leading_integer(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  int64_t value = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), value);
  if (error != std::errc() || name[0] == '-') return std::nullopt;
  return value;
}

std::vector<int64_t> find_labels(const std::vector<std::filesystem::path>& files, bool wanted) {
  std::vector<int64_t> labels;
  bool consecutive = true;
  for (const std::filesystem::path& file : files) {
    const std::optional<int64_t> label = leading_integer(file);
    if (!label && wanted) {
      throw BadData(file.string() + " does not start with the number of its class");
    }
    if (!label) return {};
    if (!labels.empty()) consecutive = consecutive && *label == labels.back() + 1;
    labels.push_back(*label);
  }
  // Frames that are merely numbered have no classes.
  if (consecutive && !wanted) return {};
  return labels;
}

class ImageFolder : public Dataset {
 public:
  ImageFolder(std::vector<std::filesystem::path> files, const InputSpec& input,
              const DatasetOptions& options)
      : files_(std::move(files)),
        input_(input),
        format_(find_format(input, options.layout)),
        labels_(find_labels(files_, !options.labels.empty())),
        batch_(format_.fixed_batch > 0 ? format_.fixed_batch : std::max<int64_t>(options.batch, 1)),
        mean_(per_channel(options.mean, "mean", 0.0f)),
        std_(per_channel(options.std, "std", 1.0f)) {
    if (std::ranges::count(std_, 0.0f) > 0) throw BadOption("std is 0");
    const DType dtype = input.type.dtype;
    const bool normalized = !options.mean.empty() || !options.std.empty();
    if (dtype == DType::kUint8 && normalized) {
      throw BadOption("mean and std do not apply: '" + input.name + "' takes uint8 pixels");
    }
    if (dtype != DType::kUint8 && dtype != DType::kFloat && dtype != DType::kFloat16 &&
        dtype != DType::kBfloat16) {
      throw BadData("images are fed as float32, float16, bfloat16 or uint8; '" + input.name +
                    "' is " + to_string(input.type));
    }
  }

  std::optional<Feed> next() override {
    if (at_ >= files_.size()) return std::nullopt;
    const size_t first = at_;
    std::vector<Image> images;
    while (at_ < files_.size() && static_cast<int64_t>(images.size()) < batch_) {
      Image image = read(files_[at_]);
      // Where the model leaves the size open, a change of it starts a new feed.
      if (!images.empty() && (image.height != images[0].height || image.width != images[0].width)) {
        break;
      }
      images.push_back(std::move(image));
      ++at_;
    }
    Feed feed;
    feed.samples = static_cast<int64_t>(images.size());
    feed.inputs[input_.name] = to_tensor(images);
    feed.divisible = format_.fixed_batch == 0;
    if (!labels_.empty()) {
      feed.labels = Tensor::of({feed.samples},
                               std::span<const int64_t>(labels_).subspan(first, images.size()));
    }
    return feed;
  }

  bool rewind() override {
    at_ = 0;
    return true;
  }
  int64_t size() const override { return static_cast<int64_t>(files_.size()); }

 private:
  std::vector<float> per_channel(const std::vector<float>& values, const char* name,
                                 float otherwise) const {
    const auto channels = static_cast<size_t>(format_.channels);
    if (values.size() <= 1) {
      return std::vector<float>(channels, values.empty() ? otherwise : values[0]);
    }
    if (values.size() == channels) return values;
    throw BadOption(std::string(name) + " has " + std::to_string(values.size()) +
                    " values; one, or one for each of the " + std::to_string(channels) +
                    " channels, is wanted");
  }

  Image read(const std::filesystem::path& path) const {
    Image image = read_image(path, format_.channels);
    const bool fits = (!format_.height.known() || format_.height.extent == image.height) &&
                      (!format_.width.known() || format_.width.extent == image.width);
    if (fits) return image;
    throw BadData(path.string() + " has " + std::to_string(image.height) + " rows and " +
                  std::to_string(image.width) + " columns, but '" + input_.name + "' is " +
                  to_string(input_.type) + "; resize the images as they were for training");
  }

  Tensor to_tensor(const std::vector<Image>& images) const {
    const int64_t rows = format_.fixed_batch > 0 ? batch_ : static_cast<int64_t>(images.size());
    const int64_t height = images[0].height, width = images[0].width;
    const int64_t channels = format_.channels;
    Dims shape = format_.channels_first ? Dims{rows, channels, height, width}
                                        : Dims{rows, height, width, channels};
    Tensor tensor = Tensor::allocate(input_.type.dtype, std::move(shape));
    std::byte* out = tensor.mutable_bytes();
    const size_t bytes = tensor.nbytes() / static_cast<size_t>(rows);
    for (size_t row = 0; row < static_cast<size_t>(rows); ++row, out += bytes) {
      const Image& image = images[row % images.size()];
      switch (input_.type.dtype) {
        case DType::kFloat:
          lay_out(image, reinterpret_cast<float*>(out), [](float x) { return x; });
          break;
        case DType::kFloat16:
          lay_out(image, reinterpret_cast<Float16*>(out), to_float16);
          break;
        case DType::kBfloat16:
          lay_out(image, reinterpret_cast<Bfloat16*>(out), to_bfloat16);
          break;
        default:
          lay_out(image, reinterpret_cast<uint8_t*>(out),
                  [](float x) { return static_cast<uint8_t>(x); });
      }
    }
    return tensor;
  }

  template <typename T, typename Convert>
  void lay_out(const Image& image, T* out, Convert convert) const {
    const int64_t channels = format_.channels, plane = image.height * image.width;
    for (int64_t i = 0; i < plane; ++i) {
      for (int64_t c = 0; c < channels; ++c) {
        const float pixel = image.pixels[static_cast<size_t>(i * channels + c)];
        out[format_.channels_first ? c * plane + i : i * channels + c] =
            convert((pixel - mean_[c]) / std_[c]);
      }
    }
  }

  std::vector<std::filesystem::path> files_;
  InputSpec input_;
  ImageFormat format_;
  std::vector<int64_t> labels_;  // empty: none
  int64_t batch_;
  std::vector<float> mean_, std_;
  size_t at_ = 0;
};

}  // namespace

std::unique_ptr<Dataset> make_image_feeds(std::vector<std::filesystem::path> files,
                                          const Model& model, const DatasetOptions& options) {
  const std::vector<InputSpec> inputs = input_specs(model);
  const InputSpec input = only_input(inputs, "a folder of images");
  return std::make_unique<ImageFolder>(std::move(files), input, options);
}

}  // namespace dwindle
