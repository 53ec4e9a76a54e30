#include "core/data/npy.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "core/data/array_stream.h"
#include "core/support/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace dwindle {
namespace {

std::string npy_header(const std::string& dict) {
  std::string text("\x93NUMPY\x01\x00", 8);
  text += static_cast<char>(dict.size() % 256);
  text += static_cast<char>(dict.size() / 256);
  return text + dict;
}

NpyHeader parse(const std::string& bytes) {
  size_t at = 0;
  return read_npy_header(
      [&](std::byte* out, size_t size) {
        if (size > bytes.size() - at) throw BadData("cut off");
        std::memcpy(out, bytes.data() + at, size);
        at += size;
      },
      "the test");
}

TEST(NpyHeaderLoad, ReadsWhatNumpyWrites) {
  const NpyHeader header =
      parse(npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }      \n"));
  EXPECT_EQ(header.dtype, DType::kFloat);
  EXPECT_EQ(header.shape, (Dims{3, 4}));
  EXPECT_FALSE(header.fortran_order);
  EXPECT_EQ(header.data_bytes(), 48u);
  EXPECT_EQ(parse(npy_header("{'descr':'|b1','fortran_order':True,'shape':(2,2)}")).fortran_order,
            true);
  EXPECT_EQ(parse(npy_header("{'descr': '<i8', 'fortran_order': False, 'shape': ()}")).shape,
            Dims{});
  EXPECT_EQ(parse(npy_header("{'descr': '<i8', 'fortran_order': False, 'shape': (7L,)}")).shape,
            Dims{7});
}

TEST(NpyHeaderLoad, RefusesWhatItCannotRead) {
  for (const char* dict :
       {"", "{", "{}", "{'descr': '<f4'}",
        "{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '', 'fortran_order': False, 'shape': (1,)}",
        "{'descr: '<f4', 'fortran_order': False, 'shape': (1,)}"}) {
    EXPECT_THROW(parse(npy_header(dict)), BadData) << dict;
  }
  EXPECT_THROW(parse("no array at all"), BadData);
}

TEST(NpyHeaderLoad, NamesTheFileAndTheKey) {
  const testing::TempFolder folder;
  const std::vector<std::string> headers = {
      "{", "{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807,)}",
      "{'descr': '<f4', 'fortran_order': True, 'shape': (9, 9)}"};
  for (const std::string& header : headers) {
    const auto path = folder.write("some.npy", npy_header(header));
    testing::expect_error<BadData>("some.npy", [&] { open_npy(path); });
    testing::expect_error<BadData>("the test", [&] {
      const NpyHeader read = parse(npy_header(header));
      if (read.fortran_order) throw BadData("the test: the header alone is sound");
    });
  }
}

TEST(NpyHeaderLoad, BadInputNeverDoesMoreThanThrow) {
  const std::string good =
      npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }\n");
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = good;
    for (unsigned k = 0; k <= random() % 3; ++k) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    try {
      parse(bytes);
    } catch (const BadData&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 10000);
}

TEST(NpyHeaderLoad, FortranOrderIsTransposed) {
  // [[0, 1, 2], [3, 4, 5]] column by column.
  const Tensor columns = Tensor::of<int32_t>({2, 3}, {0, 3, 1, 4, 2, 5});
  EXPECT_TRUE(from_fortran_order(columns).identical(
      Tensor::of<int32_t>({2, 3}, std::vector<int32_t>{0, 1, 2, 3, 4, 5})));
}

}  // namespace
}  // namespace dwindle
