#include "core/data/image.h"

#include <climits>
#include <cstring>
#include <memory>
#include <string>

#include "core/support/error.h"
#include "core/support/file.h"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_ONLY_PNM
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

namespace dwindle {

Image read_image(const std::filesystem::path& path, int64_t channels) {
  const auto file = MappedFile::open(path);
  const std::span<const std::byte> bytes = file->bytes();
  if (bytes.size() > INT_MAX) throw BadData(path.string() + " is too large for an image");
  int width = 0, height = 0, in_file = 0;
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(reinterpret_cast<const stbi_uc*>(bytes.data()),
                            static_cast<int>(bytes.size()), &width, &height, &in_file,
                            static_cast<int>(channels)),
      stbi_image_free);
  if (pixels == nullptr) {
    throw BadData("cannot decode " + path.string() + ": " + stbi_failure_reason());
  }
  Image image{height, width, channels, {}};
  image.pixels.assign(pixels.get(), pixels.get() + image.height * image.width * channels);
  return image;
}

}  // namespace dwindle
