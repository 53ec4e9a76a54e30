#include <fcntl.h>
#include <unistd.h>
#include <zip.h>

#include <cerrno>
#include <cstring>

#include "core/data/array_stream.h"
#include "core/data/npy.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

// An open archive; shared by the streams of its entries.
class Archive {
 public:
  explicit Archive(const std::filesystem::path& path) : name_(path.string()) {
    // Opened here first: an unreadable file and one that is no archive are different errors.
    const int probe = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (probe < 0) throw IoError("cannot open " + name_ + ": " + std::strerror(errno));
    ::close(probe);
    int code = 0;
    zip_ = zip_open(path.c_str(), ZIP_RDONLY, &code);
    if (zip_ == nullptr) {
      zip_error_t error;
      zip_error_init_with_code(&error, code);
      const std::string reason = zip_error_strerror(&error);
      zip_error_fini(&error);
      throw BadData(name_ + " is no .npz archive: " + reason);
    }
  }
  ~Archive() { zip_discard(zip_); }
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;

  zip_t* zip() const { return zip_; }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
  zip_t* zip_ = nullptr;
};

// One entry, read front to back and unpacked on the way.
class Entry {
 public:
  Entry(std::shared_ptr<Archive> archive, zip_uint64_t index, std::string name)
      : archive_(std::move(archive)), index_(index), name_(std::move(name)) {
    open();
  }
  ~Entry() { zip_fclose(file_); }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  const std::string& name() const { return name_; }

  void reopen() {
    zip_fclose(file_);
    open();
  }

  // The checksum is only compared at the end of the entry, so that must be read too.
  void check_end() {
    std::byte beyond;
    if (zip_fread(file_, &beyond, 1) < 0) fail();
  }

  void read(std::byte* out, size_t size) {
    while (size > 0) {
      const zip_int64_t got = zip_fread(file_, out, size);
      if (got < 0) fail();
      if (got == 0) throw BadData(name_ + " is no .npy array, or is cut off");
      out += got;
      size -= static_cast<size_t>(got);
    }
  }

 private:
  [[noreturn]] void fail() {
    throw BadData(name_ + " is damaged: " + zip_error_strerror(zip_file_get_error(file_)));
  }

  void open() {
    file_ = zip_fopen_index(archive_->zip(), index_, 0);
    if (file_ == nullptr) {
      throw BadData("cannot read " + name_ + ": " + zip_strerror(archive_->zip()));
    }
  }

  std::shared_ptr<Archive> archive_;
  zip_uint64_t index_;
  std::string name_;
  zip_file_t* file_ = nullptr;
};

NpyHeader read_header(Entry& entry) {
  return read_npy_header([&](std::byte* out, size_t size) { entry.read(out, size); }, entry.name());
}

class NpzStream : public ArrayStream {
 public:
  NpzStream(const NpyHeader& header, std::unique_ptr<Entry> entry)
      : ArrayStream(header.dtype, header.shape),
        entry_(std::move(entry)),
        size_(header.data_bytes()),
        left_(size_) {}

  void read(std::byte* out, size_t size) override {
    entry_->read(out, size);
    left_ -= size;
    if (left_ == 0 && size > 0) entry_->check_end();
  }
  void rewind() override {
    if (left_ == size_) return;
    entry_->reopen();
    read_header(*entry_);
    left_ = size_;
  }

 private:
  std::unique_ptr<Entry> entry_;
  size_t size_, left_;  // bytes of the elements: all, and those not yet read
};

std::unique_ptr<ArrayStream> open_entry(const std::shared_ptr<Archive>& archive, zip_uint64_t index,
                                        const std::string& key) {
  const std::string name = "key '" + key + "' of " + archive->name();
  zip_stat_t stat;
  zip_stat_init(&stat);
  if (zip_stat_index(archive->zip(), index, 0, &stat) != 0 || (stat.valid & ZIP_STAT_SIZE) == 0) {
    throw BadData("cannot read " + name + ": " + zip_strerror(archive->zip()));
  }
  auto entry = std::make_unique<Entry>(archive, index, name);
  const NpyHeader header = read_header(*entry);
  // Checked before anything is allocated: the header may claim any shape.
  if (stat.size < header.size || stat.size - header.size < header.data_bytes()) {
    throw BadData(name + " is cut off: " + to_string(header.shape) + " " +
                  std::string(dtype_name(header.dtype)) + " takes more than its " +
                  std::to_string(stat.size) + " bytes");
  }
  auto stream = std::make_unique<NpzStream>(header, std::move(entry));
  if (!header.fortran_order) return stream;
  return stream_tensor(from_fortran_order(stream->read_all()));
}

}  // namespace

ArrayStreams open_npz(const std::filesystem::path& path) {
  const auto archive = std::make_shared<Archive>(path);
  ArrayStreams streams;
  const zip_int64_t count = zip_get_num_entries(archive->zip(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* entry = zip_get_name(archive->zip(), static_cast<zip_uint64_t>(i), 0);
    if (entry == nullptr) continue;
    std::string key = entry;
    if (!key.ends_with(".npy")) {
      throw BadData(archive->name() + " holds '" + key + "', which is no .npy array");
    }
    key.resize(key.size() - 4);
    streams[key] = open_entry(archive, static_cast<zip_uint64_t>(i), key);
  }
  if (streams.empty()) throw BadData(archive->name() + " holds no arrays");
  return streams;
}

}  // namespace dwindle
