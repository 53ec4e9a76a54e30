#include "core/support/spill.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <vector>

#include "core/support/error.h"
#include "core/support/interrupt.h"

namespace dwindle {
namespace {

namespace fs = std::filesystem;

fs::path default_folder() {
  if (const char* given = ::getenv("TMPDIR"); given != nullptr && *given != '\0') return given;
  std::error_code error;
  if (fs::is_directory("/var/tmp", error)) return "/var/tmp";
  return fs::temp_directory_path(error);
}

[[noreturn]] void fail(const fs::path& folder, int error) {
  throw IoError("cannot write a temporary file in '" + folder.string() +
                "': " + std::generic_category().message(error));
}

}  // namespace

Spill::Spill(fs::path folder) : folder_(std::move(folder)) {
  if (folder_.empty()) folder_ = default_folder();
}

Spill::~Spill() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void Spill::open() {
  let_large_writes_fail();
#ifdef O_TMPFILE
  descriptor_ = ::open(folder_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
#endif
  if (descriptor_ >= 0) return;
  // Not every file system makes files without a name: there the name goes at once.
  const std::string pattern = (folder_ / ".dwindle-XXXXXX").string();
  std::vector<char> name(pattern.c_str(), pattern.c_str() + pattern.size() + 1);
  descriptor_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor_ < 0) fail(folder_, errno);
  ::unlink(name.data());
}

uint64_t Spill::reserve(uint64_t size) {
  static const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const uint64_t offset = size_;
  size_ += (size + page - 1) / page * page;
  return offset;
}

void Spill::write(uint64_t offset, std::span<const std::byte> bytes) {
  if (descriptor_ < 0) open();
  while (!bytes.empty()) {
    check_interrupted();
    const ssize_t written =
        ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(folder_, errno);
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
}

std::shared_ptr<const MappedFile> Spill::map(uint64_t offset, size_t size) const {
  return MappedFile::of_descriptor(descriptor_, offset, size, folder_);
}

}  // namespace dwindle
