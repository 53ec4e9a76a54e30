// Data that is too large to stay in memory until it is saved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "core/support/file.h"

namespace dwindle {

// A file without a name, which goes with the process, however it ends. Made with the first bytes.
class Spill {
 public:
  // In `folder`; empty: where TMPDIR says, else in /var/tmp, which is seldom held in memory.
  explicit Spill(std::filesystem::path folder = {});
  ~Spill();
  Spill(const Spill&) = delete;
  Spill& operator=(const Spill&) = delete;

  // Room for `size` bytes. Returns its offset, a multiple of the page size.
  uint64_t reserve(uint64_t size);
  // Writes into reserved room. Raises IoError that names the folder where the disk is full.
  void write(uint64_t offset, std::span<const std::byte> bytes);
  // `size` bytes from a reserved `offset` on, all written, for reading. Lives on without the Spill.
  std::shared_ptr<const MappedFile> map(uint64_t offset, size_t size) const;

 private:
  void open();

  std::filesystem::path folder_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

}  // namespace dwindle
