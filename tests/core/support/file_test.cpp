#include "core/support/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "core/support/error.h"
#include "core/support/nearest.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace dwindle {
namespace {

namespace fs = std::filesystem;
using testing::expect_error;
using testing::read_file;
using testing::TempFolder;

// Makes every file that grows past `bytes` fail, as on a full disk.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST(MappedFile, HoldsTheFileAlsoAfterItIsReplaced) {
  const TempFolder folder;
  const fs::path path = folder.write("f", "hello");
  const auto file = MappedFile::open(path);
  AtomicFile replacement(path);
  replacement.write("other bytes");
  replacement.commit();
  const std::string_view held(reinterpret_cast<const char*>(file->bytes().data()),
                              file->bytes().size());
  EXPECT_EQ(held, "hello");
  EXPECT_EQ(read_file(path), "other bytes");
}

TEST(MappedFile, EmptyFileHasNoBytes) {
  const TempFolder folder;
  EXPECT_TRUE(MappedFile::open(folder.write("empty", ""))->bytes().empty());
}

TEST(MappedFile, RefusesWhatIsNoFile) {
  const TempFolder folder;
  expect_error<IoError>("nothing.bin", [&] { MappedFile::open(folder / "nothing.bin"); });
  expect_error<IoError>("directory", [&] { MappedFile::open(folder.path()); });
  const fs::path pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  expect_error<IoError>("no regular file", [&] { MappedFile::open(pipe); });
}

TEST(AtomicFile, WithoutCommitNothingChanges) {
  const TempFolder folder;
  const fs::path path = folder.write("f", "old");
  { AtomicFile(path).write("new"); }
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(folder.entries(), 1u);
  { AtomicFile(folder / "other").write("new"); }
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(AtomicFile, KeepsTheModeOfAnExistingFile) {
  const TempFolder folder;
  const fs::path path = folder.write("f", "old");
  ::chmod(path.c_str(), 0640);
  AtomicFile file(path);
  file.write("new");
  file.commit();
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
  EXPECT_EQ(read_file(path), "new");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(AtomicFile, WritesThroughALink) {
  const TempFolder folder;
  const fs::path target = folder.write("target", "old");
  fs::create_symlink(target, folder / "link");
  AtomicFile file(folder / "link");
  file.write("new");
  file.commit();
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_file(target), "new");
}

TEST(AtomicFile, RefusesPathsThatCannotBeFiles) {
  const TempFolder folder;
  expect_error<IoError>("directory", [&] { AtomicFile file(folder.path()); });
  expect_error<IoError>("missing", [&] { AtomicFile file(folder / "missing/f"); });
  expect_error<IoError>("no regular file", [] { AtomicFile file("/dev/full"); });
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

TEST(AtomicFile, RefusesAWriteProtectedFile) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everything";
  const TempFolder folder;
  const fs::path path = folder.write("f", "old");
  ::chmod(path.c_str(), 0400);
  expect_error<IoError>("f", [&] { AtomicFile file(path); });
}

TEST(AtomicFile, AFullDiskLeavesTheOldFile) {
  const TempFolder folder;
  const fs::path path = folder.write("f", "old");
  {
    const FullDisk full(1000);
    expect_error<IoError>("cannot write", [&] {
      AtomicFile file(path);
      file.write(std::string(5000, 'x'));
      file.commit();
    });
  }
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(NearestName, FindsSlipsAndNothingElse) {
  const std::vector<std::string> names = {"conv1_weight", "conv2_bias", "x"};
  EXPECT_EQ(nearest_name("conv1_wieght", names), "conv1_weight");
  EXPECT_EQ(nearest_name("conv2_bia", names), "conv2_bias");
  EXPECT_EQ(nearest_name("y", names), "x");
  EXPECT_EQ(nearest_name("something_else", names), "");
  EXPECT_EQ(nearest_name("conv1_weight", {}), "");
}

TEST(NearestName, ListsSlipsThenParts) {
  const std::vector<std::string> names = {"/block/conv1/Conv", "conv2", "conv1", "relu", "x"};
  using Names = std::vector<std::string>;
  EXPECT_EQ(nearest_names("conv1", names, 5), (Names{"conv1", "conv2", "/block/conv1/Conv"}));
  EXPECT_EQ(nearest_names("conv1", names, 2), (Names{"conv1", "conv2"}));
  EXPECT_EQ(nearest_names("block/canv1", names, 5), (Names{"/block/conv1/Conv"}));
  EXPECT_EQ(nearest_names("something_else", names, 5), Names{});
  EXPECT_EQ(did_you_mean("conv1", names, 3),
            "; did you mean 'conv1', 'conv2' or '/block/conv1/Conv'?");
  EXPECT_EQ(did_you_mean("conv1", names), "; did you mean 'conv1'?");
  EXPECT_EQ(did_you_mean("something_else", names, 3), "");
}

}  // namespace
}  // namespace dwindle
