#include "core/support/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <map>
#include <mutex>
#include <system_error>

#include "core/support/error.h"
#include "core/support/interrupt.h"

namespace dwindle {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& action, const fs::path& path, int error) {
  throw IoError("cannot " + action + " '" + path.string() +
                "': " + std::generic_category().message(error));
}

// Closes a descriptor when the scope ends, however it ends.
struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

// Where files are mapped: only there may pages be dropped without loss.
class Mappings {
 public:
  void add(std::span<const std::byte> bytes) {
    std::lock_guard lock(mutex_);
    ends_.emplace(address(bytes.data()), address(bytes.data()) + bytes.size());
  }
  void remove(std::span<const std::byte> bytes) noexcept {
    std::lock_guard lock(mutex_);
    ends_.erase(address(bytes.data()));
  }
  // Tells the system what becomes of the pages that `bytes` lie in.
  void advise(std::span<const std::byte> bytes, int advice) noexcept {
    static const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    const uintptr_t begin = address(bytes.data()), end = begin + bytes.size();
    std::lock_guard lock(mutex_);  // so that the mapping stays
    const auto after = ends_.upper_bound(begin);
    if (bytes.empty() || after == ends_.begin() || std::prev(after)->second < end) return;
    const uintptr_t first = begin / page * page;
    ::madvise(reinterpret_cast<void*>(first), end - first, advice);
  }

 private:
  static uintptr_t address(const std::byte* at) { return reinterpret_cast<uintptr_t>(at); }

  std::mutex mutex_;
  std::map<uintptr_t, uintptr_t> ends_;  // by where mappings begin
};

// Never destroyed: tensors held by static objects may outlive it otherwise.
Mappings& mappings() {
  static Mappings& instance = *new Mappings;
  return instance;
}

// Makes the rename in `folder` last through a power cut. A file system that cannot do so (some
// network ones) is no reason to fail: the data itself is safe by then.
void sync_folder(const fs::path& folder) {
  const Descriptor descriptor{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (descriptor.number >= 0) ::fsync(descriptor.number);
}

// The file that a write to `path` changes: where links at `path` lead.
fs::path resolved(const fs::path& path) {
  std::error_code error;
  if (!fs::is_symlink(path, error)) return path;
  fs::path target = fs::weakly_canonical(path, error);
  if (error) fail("write", path, error.value());
  return target;
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const fs::path& path) {
  // O_NONBLOCK: a named pipe must be refused below, not waited for.
  const Descriptor descriptor{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (descriptor.number < 0) fail("open", path, errno);
  struct stat status {};
  if (::fstat(descriptor.number, &status) != 0) fail("open", path, errno);
  if (S_ISDIR(status.st_mode)) fail("open", path, EISDIR);
  if (!S_ISREG(status.st_mode)) throw IoError("'" + path.string() + "' is no regular file");

  return of_descriptor(descriptor.number, 0, static_cast<size_t>(status.st_size), path);
}

std::shared_ptr<const MappedFile> MappedFile::of_descriptor(int descriptor, uint64_t offset,
                                                            size_t size, const fs::path& path) {
  std::shared_ptr<MappedFile> file(new MappedFile);
  if (size == 0) return file;  // mmap refuses empty ranges
  void* address =
      ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, static_cast<off_t>(offset));
  if (address == MAP_FAILED) fail("map", path, errno);
  file->bytes_ = {static_cast<const std::byte*>(address), size};
  mappings().add(file->bytes_);
  return file;
}

MappedFile::~MappedFile() {
  if (bytes_.empty()) return;
  mappings().remove(bytes_);
  ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void give_back_pages(std::span<const std::byte> bytes) noexcept {
  mappings().advise(bytes, MADV_DONTNEED);
}

void read_ahead(std::span<const std::byte> bytes) noexcept {
  mappings().advise(bytes, MADV_WILLNEED);
}

void let_large_writes_fail() {
  static const bool done = [] {
    struct sigaction action {};
    if (::sigaction(SIGXFSZ, nullptr, &action) == 0 && action.sa_handler == SIG_DFL) {
      action.sa_handler = SIG_IGN;
      ::sigaction(SIGXFSZ, &action, nullptr);
    }
    return true;
  }();
  (void)done;
}

AtomicFile::AtomicFile(fs::path path) : path_(resolved(path)) {
  let_large_writes_fail();
  struct stat existing {};
  const bool exists = ::stat(path_.c_str(), &existing) == 0;
  if (!exists && errno != ENOENT) fail("write", path_, errno);
  if (exists && S_ISDIR(existing.st_mode)) fail("write", path_, EISDIR);
  // A rename would replace the device or pipe itself.
  if (exists && !S_ISREG(existing.st_mode)) {
    throw IoError("cannot write '" + path_.string() + "': it is no regular file");
  }
  // A rename would also replace a file that the user has write-protected.
  if (exists && ::access(path_.c_str(), W_OK) != 0) fail("write", path_, errno);

  static std::atomic<unsigned> counter{0};
  do {
    const std::string name = ".dwindle-" + std::to_string(::getpid()) + "-" +
                             std::to_string(counter.fetch_add(1)) + ".tmp";
    temporary_ = path_.parent_path() / name;
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (descriptor_ < 0 && errno == EEXIST);
  if (descriptor_ < 0) fail("write", path_, errno);
  if (exists) (void)::fchmod(descriptor_, existing.st_mode & 07777);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    check_interrupted();
    const size_t chunk = std::min(bytes.size(), size_t{1} << 26);
    const ssize_t written = ::write(descriptor_, bytes.data(), chunk);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write", path_, errno);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void AtomicFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text.data(), text.size())));
}

void AtomicFile::sync() {
  if (descriptor_ < 0) return;
  if (::fsync(descriptor_) != 0) fail("write", path_, errno);
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0) fail("write", path_, errno);
}

void AtomicFile::commit() {
  sync();
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("write", path_, errno);
  temporary_.clear();
  const fs::path folder = path_.parent_path();
  sync_folder(folder.empty() ? "." : folder);
}

}  // namespace dwindle
