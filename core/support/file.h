// Files: memory-mapped reading, and writing that either happens whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace dwindle {

// A whole file mapped for reading; pages are read when touched. Raises IoError where it cannot be
// opened or is no regular file. The mapping lives as long as a copy of the pointer.
class MappedFile {
 public:
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);
  // `size` bytes from `offset` on, a multiple of the page size, of an open file, which must have
  // them. `path` is for messages.
  static std::shared_ptr<const MappedFile> of_descriptor(int descriptor, uint64_t offset,
                                                         size_t size,
                                                         const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  MappedFile() = default;
  std::span<const std::byte> bytes_;
};

// Gives the memory of `bytes` back to the system where it mirrors a MappedFile; it is read again
// when touched. Does nothing for other memory, so any bytes may be given.
void give_back_pages(std::span<const std::byte> bytes) noexcept;

// Lets the system read `bytes` of a MappedFile in the background. Does nothing for other memory.
void read_ahead(std::span<const std::byte> bytes) noexcept;

// Past a limit on the size of files, a write raises a signal that would end the process with
// temporary files left behind; ignored, the write fails instead. What a caller has set stays.
void let_large_writes_fail();

// Writes to a temporary file beside `path`; commit() makes it `path` (fsync, rename). Destroyed
// without commit, it leaves `path` as it was and removes the temporary file. Follows a link at
// `path`, keeps the mode of an existing file. Raises IoError that names the path, also past a limit
// on the size of files: the first AtomicFile makes the process ignore SIGXFSZ where that was at its
// default.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  int descriptor() const { return descriptor_; }  // for protobuf's streams
  void sync();  // fsync and close; commit() does it where it was not done
  void commit();

 private:
  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
};

}  // namespace dwindle
