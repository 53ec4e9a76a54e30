// External data: mapped, streamed, and never outside the model's folder.
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/ir/print.h"
#include "core/onnx/onnx.h"
#include "core/support/error.h"
#include "core/support/file.h"
#include "tests/support/expect_error.h"
#include "tests/support/onnx_bytes.h"
#include "tests/support/temp_folder.h"

namespace dwindle {
namespace {

using namespace testing;
namespace fs = std::filesystem;

std::string with_tensor(const ProtoBytes& message) {
  GraphParts parts = relu_parts();
  parts.initializers = {message};
  return model(parts);
}

// A model whose float[2] initializer `w` is 8 bytes of `location`.
std::string pointing_to(const std::string& location, const std::string& offset = "0",
                        const std::string& length = "8") {
  return with_tensor(external_tensor("w", kFloat, {2}, location, offset, length));
}

std::vector<float> floats_of(const Model& loaded, const std::string& name) {
  return to_floats(*loaded.graph->find(name)->initializer());
}

TEST(ExternalData, IsMapped) {
  const TempFolder folder;
  folder.write("w.bin", raw_bytes<float>({9, 1, 2, 9}));
  const Model loaded = load_model(folder.write("m.onnx", pointing_to("w.bin", "4")));
  EXPECT_TRUE(loaded.graph->find("w")->initializer()->mapped());
  EXPECT_EQ(floats_of(loaded, "w"), (std::vector<float>{1, 2}));
}

TEST(ExternalData, OffsetAndLengthAreOptional) {
  const TempFolder folder;
  folder.write("w.bin", raw_bytes<float>({3, 4, 5}));
  const Model loaded = load_model(folder.write("m.onnx", pointing_to("w.bin", "", "")));
  EXPECT_EQ(floats_of(loaded, "w"), (std::vector<float>{3, 4}));
}

TEST(ExternalData, UnalignedBytesAreCopied) {
  const TempFolder folder;
  folder.write("w.bin", "x" + raw_bytes<float>({3, 4}));
  const Model loaded = load_model(folder.write("m.onnx", pointing_to("w.bin", "1")));
  EXPECT_EQ(floats_of(loaded, "w"), (std::vector<float>{3, 4}));
}

TEST(ExternalData, SubfoldersAndLinksInsideAreFine) {
  const TempFolder folder;
  fs::create_directory(folder / "data");
  folder.write("data/w.bin", raw_bytes<float>({3, 4}));
  fs::create_symlink("data/w.bin", folder / "link.bin");
  EXPECT_EQ(floats_of(load_model(folder.write("m.onnx", pointing_to("data/w.bin"))), "w")[1], 4);
  EXPECT_EQ(floats_of(load_model(folder.write("m.onnx", pointing_to("link.bin"))), "w")[1], 4);
}

TEST(ExternalData, NeverOutsideTheFolder) {
  const TempFolder outside;
  const std::string secret = outside.write("secret.bin", raw_bytes<float>({3, 4})).string();
  const TempFolder folder;
  fs::create_symlink(secret, folder / "link.bin");
  fs::create_directory_symlink(outside.path(), folder / "linked");
  const std::string climb = "../" + outside.path().filename().string() + "/secret.bin";
  fs::create_directory(folder / "sub");
  for (const std::string& location :
       {secret, climb, std::string("link.bin"), std::string("linked/secret.bin"), "sub/../" + climb,
        std::string("sub/../link.bin")}) {
    expect_error<BadModel>("folder",
                           [&] { load_model(folder.write("m.onnx", pointing_to(location))); });
  }
  // A folder whose name only starts like the model's is outside, too.
  const fs::path sibling = folder.path().string() + "x";
  fs::create_directory(sibling);
  AtomicFile file(sibling / "w.bin");
  file.write("12345678");
  file.commit();
  fs::create_symlink(sibling / "w.bin", folder / "near.bin");
  expect_error<BadModel>("folder",
                         [&] { load_model(folder.write("m.onnx", pointing_to("near.bin"))); });
  fs::remove_all(sibling);
}

TEST(ExternalData, WrongPlaces) {
  const TempFolder folder;
  folder.write("w.bin", raw_bytes<float>({3, 4}));
  const auto expect_bad = [&](const std::string& file, std::string_view text) {
    expect_error<BadModel>(text, [&] { load_model(folder.write("m.onnx", file)); });
  };
  expect_bad(pointing_to("none.bin"), "none.bin");
  expect_bad(pointing_to(""), "without a location");
  expect_bad(pointing_to("."), "irectory");
  expect_bad(pointing_to("w.bin", "4"), "past the end of 'w.bin'");
  expect_bad(pointing_to("w.bin", "9"), "past the end");
  expect_bad(pointing_to("w.bin", "18446744073709551615"), "past the end");
  expect_bad(pointing_to("w.bin", "18446744073709551616"), "is not a size");
  expect_bad(pointing_to("w.bin", "-1"), "is not a size");
  expect_bad(pointing_to("w.bin", "0x0"), "is not a size");
  expect_bad(pointing_to("w.bin", "0", "4"), "external data of 4 bytes");
  expect_bad(pointing_to("w.bin", "0", "12"), "external data of 12 bytes");
  expect_bad(with_tensor(external_tensor("w", kFloat, {-1}, "w.bin")), "negative");
  expect_bad(with_tensor(external_tensor("w", kString, {1}, "w.bin")), "strings");
  expect_bad(with_tensor(external_tensor("w", kFloat, {2}, "w.bin").bytes(9, "12345678")), "both");
  expect_error<BadModel>("without a folder", [&] { parse(pointing_to("w.bin")); });
}

TEST(ExternalData, EncodedPartsAreBroughtIn) {
  // A sparse attribute and the training graphs are carried encoded; moved to another folder, their
  // external data must come along.
  const TempFolder folder;
  folder.write("w.bin", raw_bytes<float>({3, 4}));
  const ProtoBytes values = external_tensor("v", kFloat, {2}, "w.bin");
  const ProtoBytes sparse = ProtoBytes()
                                .message(1, values)
                                .message(2, tensor("", kInt64, {2}, raw_bytes<int64_t>({0, 1})))
                                .integer(3, 4);
  GraphParts parts = relu_parts();
  parts.nodes = {node("Custom", {"x"}, {"y"}, "",
                      {ProtoBytes().bytes(1, "s").integer(20, 11).message(22, sparse)})};
  GraphParts training = relu_parts();
  training.initializers = {values};
  const std::string tail = ProtoBytes().message(20, ProtoBytes().message(2, graph(training))).str();
  const Model loaded = load_model(folder.write("m.onnx", model(graph(parts), tail)));
  const std::string written = serialize_model(loaded);
  EXPECT_EQ(written.find("w.bin"), std::string::npos);
  EXPECT_EQ(serialize_model(parse(written)), written);
}

TEST(ExternalData, TwentyGigabytesAreNotRead) {
  const TempFolder folder;
  const int64_t count = 5LL << 30;
  const fs::path data = folder.write("big.bin", "");
  if (::truncate(data.c_str(), count * 4) != 0) GTEST_SKIP() << "no sparse files here";
  const Model loaded = load_model(
      folder.write("m.onnx", with_tensor(external_tensor("w", kFloat, {count}, "big.bin"))));
  const Tensor& w = *loaded.graph->find("w")->initializer();
  EXPECT_EQ(w.nbytes(), static_cast<size_t>(count) * 4);
  EXPECT_EQ(w.values<float>().back(), 0.0f);
  EXPECT_GT(serialized_size(loaded), static_cast<uint64_t>(count) * 4);
}

// A model with an initializer of `size` bytes for each name, all sharing the same memory.
Model with_initializers(int count, int64_t size) {
  Model built = parse(model(relu_parts()));
  Tensor shared = Tensor::zeros(DType::kUint8, {size});
  for (int64_t i = 0; i < size; ++i) shared.mutable_bytes()[i] = static_cast<std::byte>(i * 7);
  for (int i = 0; i < count; ++i) built.graph->add_initializer("w" + std::to_string(i), shared);
  return built;
}

TEST(SaveExternal, AlwaysMovesLargeTensors) {
  const TempFolder folder;
  Model built = with_initializers(1, 100000);
  built.graph->add_initializer("medium", Tensor::zeros(DType::kFloat, {500}));
  built.graph->add_initializer("small", Tensor::scalar(1.0f));
  save_model(built, folder / "model.onnx", ExternalData::kAlways);
  EXPECT_LT(fs::file_size(folder / "model.onnx"), 1000u);
  // Large tensors start at whole pages, the others at cache lines.
  EXPECT_EQ(fs::file_size(folder / "model.onnx.data"), 100000u + 32 + 2000);
  const Model again = load_model(folder / "model.onnx");
  EXPECT_TRUE(again.graph->find("w0")->initializer()->mapped());
  EXPECT_FALSE(again.graph->find("small")->initializer()->mapped());
  EXPECT_EQ(to_text(again), to_text(built));
  EXPECT_TRUE(
      again.graph->find("w0")->initializer()->identical(*built.graph->find("w0")->initializer()));
  EXPECT_EQ(serialized_size(again),
            fs::file_size(folder / "model.onnx") + fs::file_size(folder / "model.onnx.data"));
}

TEST(SaveExternal, AutoKeepsMappedTensorsExternal) {
  const TempFolder folder;
  folder.write("w.bin", raw_bytes<float>({3, 4}));
  const Model loaded = load_model(folder.write("m.onnx", pointing_to("w.bin")));
  save_model(loaded, folder / "out.onnx");
  EXPECT_EQ(read_file(folder / "out.onnx.data"), raw_bytes<float>({3, 4}));
  EXPECT_EQ(floats_of(load_model(folder / "out.onnx"), "w"), (std::vector<float>{3, 4}));
  save_model(loaded, folder / "one.onnx", ExternalData::kNever);
  EXPECT_FALSE(fs::exists(folder / "one.onnx.data"));
  EXPECT_EQ(floats_of(parse(read_file(folder / "one.onnx")), "w"), (std::vector<float>{3, 4}));
}

TEST(SaveExternal, OverTheFilesItWasLoadedFrom) {
  const TempFolder folder;
  save_model(with_initializers(3, 5000), folder / "m.onnx", ExternalData::kAlways);
  Model loaded = load_model(folder / "m.onnx");
  loaded.graph->add_initializer("first", Tensor::zeros(DType::kUint8, {3000}));
  const std::string before = serialize_model(loaded);
  save_model(loaded, folder / "m.onnx", ExternalData::kAlways);
  EXPECT_EQ(serialize_model(loaded), before) << "the old bytes stay mapped";
  EXPECT_EQ(serialize_model(load_model(folder / "m.onnx")), before);
  EXPECT_EQ(folder.entries(), 2u);
}

TEST(SaveExternal, SharedBytesAreWrittenOnce) {
  // More than 2 GB of tensors, half a megabyte of bytes.
  const TempFolder folder;
  const Model built = with_initializers(5000, 512 << 10);
  expect_error<Error>("2 GB", [&] { serialize_model(built); });
  expect_error<Error>("2 GB", [&] { save_model(built, folder / "m.onnx", ExternalData::kNever); });
  EXPECT_EQ(folder.entries(), 0u);
  save_model(built, folder / "m.onnx");  // kAuto: one file cannot hold it
  EXPECT_EQ(fs::file_size(folder / "m.onnx.data"), 512u << 10);
  EXPECT_EQ(load_model(folder / "m.onnx").graph->initializers().size(), 5000u);
}

TEST(SaveExternal, NeverThroughALinkOut) {
  const TempFolder outside, folder;
  const fs::path target = outside.write("target", "keep me");
  fs::create_symlink(target, folder / "m.onnx.data");
  expect_error<IoError>("link out of the model's folder", [&] {
    save_model(with_initializers(1, 5000), folder / "m.onnx", ExternalData::kAlways);
  });
  EXPECT_EQ(read_file(target), "keep me");
  EXPECT_FALSE(fs::exists(folder / "m.onnx"));
}

TEST(SaveErrors, LeaveTheOldFiles) {
  const TempFolder folder;
  const Model built = with_initializers(1, 5000);
  for (const ExternalData external : {ExternalData::kNever, ExternalData::kAlways}) {
    expect_error<IoError>("missing", [&] { save_model(built, folder / "missing/m", external); });
    expect_error<IoError>("directory", [&] { save_model(built, folder.path(), external); });
    expect_error<IoError>("no regular file", [&] { save_model(built, "/dev/full", external); });
  }
  expect_error<IoError>("", [&] { save_model(built, ""); });
  EXPECT_EQ(folder.entries(), 0u);
}

TEST(Save, IsDeterministic) {
  const TempFolder folder;
  const Model built = with_initializers(4, 3000);
  save_model(built, folder / "a.onnx", ExternalData::kAlways);
  const std::string model_bytes = read_file(folder / "a.onnx");
  const std::string data_bytes = read_file(folder / "a.onnx.data");
  save_model(load_model(folder / "a.onnx"), folder / "a.onnx", ExternalData::kAlways);
  EXPECT_EQ(read_file(folder / "a.onnx"), model_bytes);
  EXPECT_EQ(read_file(folder / "a.onnx.data"), data_bytes);
}

}  // namespace
}  // namespace dwindle
