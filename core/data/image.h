// Decoding of image files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace dwindle {

struct Image {
  int64_t height = 0, width = 0, channels = 0;
  std::vector<uint8_t> pixels;  // [height, width, channels]
};

// Decodes JPEG, PNG, BMP or PNM into `channels` (1 gray, 3 RGB, 4 RGBA), converting where the file
// has others. Raises IoError where it cannot be read, BadData where it cannot be decoded.
Image read_image(const std::filesystem::path& path, int64_t channels);

}  // namespace dwindle
