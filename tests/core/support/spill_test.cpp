#include "core/support/spill.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstring>
#include <string>
#include <vector>

#include "core/support/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace dwindle {
namespace {

using testing::TempFolder;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

TEST(Spill, HoldsWhatIsWrittenAlsoAfterItIsGone) {
  const TempFolder folder;
  std::shared_ptr<const MappedFile> first, second;
  {
    Spill spill(folder.path());
    const uint64_t a = spill.reserve(6), b = spill.reserve(4);
    EXPECT_NE(a, b);
    spill.write(b, bytes_of("four"));
    spill.write(a, bytes_of("abc"));
    spill.write(a + 3, bytes_of("def"));
    first = spill.map(a, 6);
    second = spill.map(b, 4);
    EXPECT_EQ(folder.entries(), 0u) << "the file has a name";
  }
  EXPECT_EQ(text_of(*first), "abcdef");
  EXPECT_EQ(text_of(*second), "four");
}

TEST(Spill, NamesTheFolderThatCannotBeWritten) {
  Spill spill("/nowhere/at/all");
  const uint64_t at = spill.reserve(1);
  EXPECT_THROW(spill.write(at, bytes_of("x")), IoError);
  try {
    spill.write(at, bytes_of("x"));
  } catch (const IoError& error) {
    EXPECT_NE(std::string(error.what()).find("/nowhere/at/all"), std::string::npos);
  }
}

TEST(Spill, AFullDiskIsAnErrorThatLeavesNothing) {
  const TempFolder folder;
  void (*handler)(int) = std::signal(SIGXFSZ, SIG_DFL);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  rlimit limit = before;
  limit.rlim_cur = 1 << 16;
  {
    Spill spill(folder.path());
    const std::string large(1 << 17, 'x');
    const uint64_t at = spill.reserve(large.size());
    std::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &limit);
    EXPECT_THROW(spill.write(at, bytes_of(large)), IoError);
    ::setrlimit(RLIMIT_FSIZE, &before);
  }
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(folder.entries(), 0u);
}

TEST(GiveBackPages, LosesNothing) {
  const TempFolder folder;
  std::string content(300'000, 0);
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 7 % 251);
  const auto file = MappedFile::open(folder.write("f", content));
  for (size_t first : {0u, 1u, 5000u, 299'999u}) {
    read_ahead(file->bytes().subspan(first));
    give_back_pages(file->bytes().subspan(first));
    EXPECT_EQ(text_of(*file), content);
  }
  // Memory that mirrors no file would be cleared.
  std::vector<std::byte> own(100'000, std::byte{42});
  give_back_pages(own);
  for (std::byte byte : own) ASSERT_EQ(byte, std::byte{42});
  give_back_pages({});
}

}  // namespace
}  // namespace dwindle
