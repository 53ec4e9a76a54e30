// Tensors of every data type, in every field that ONNX allows for them.
#include <gtest/gtest.h>

#include "core/onnx/onnx.h"
#include "core/support/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/graph_builder.h"
#include "tests/support/onnx_bytes.h"

namespace dwindle {
namespace {

using namespace testing;

Tensor loaded(const ProtoBytes& message) {
  GraphParts parts = relu_parts();
  parts.initializers = {message};
  return *parse(model(parts)).graph->find("w")->initializer();
}

std::string bytes_of(const Tensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.bytes()), tensor.nbytes()};
}

class EveryDType : public ::testing::TestWithParam<int> {};

TEST_P(EveryDType, RawDataKeepsItsBytes) {
  const DType dtype = static_cast<DType>(GetParam());
  const size_t size = packed_bytes(dtype, 5);
  std::string raw;
  for (size_t i = 0; i < size; ++i) {
    raw += static_cast<char>(dtype == DType::kBool ? i % 2 : 37 * i + 11);
  }
  GraphParts parts = relu_parts();
  parts.initializers = {tensor("w", GetParam(), {5}, raw)};
  const std::string file = model(parts);
  const Model parsed = parse(file);
  const Tensor& w = *parsed.graph->find("w")->initializer();
  EXPECT_EQ(w.dtype(), dtype);
  EXPECT_EQ(bytes_of(w), raw);
  EXPECT_EQ(serialize_model(parsed), file);
  EXPECT_EQ(serialized_size(parsed), file.size());
}

TEST_P(EveryDType, RawDataMustHaveItsSize) {
  const std::string raw(packed_bytes(static_cast<DType>(GetParam()), 5), '\0');
  for (const std::string& wrong : {raw.substr(1), raw + '\0', std::string()}) {
    expect_error<BadModel>("tensor 'w'", [&] { loaded(tensor("w", GetParam(), {5}, wrong)); });
  }
}

TEST_P(EveryDType, NoElementsNeedNoData) {
  const Tensor w = loaded(ProtoBytes().integer(1, 0).integer(2, GetParam()).bytes(8, "w"));
  EXPECT_EQ(w.size(), 0);
  EXPECT_EQ(w.shape(), Dims{0});
}

INSTANTIATE_TEST_SUITE_P(Onnx, EveryDType,
                         ::testing::Values(1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17,
                                           18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28));

TEST(TypedData, SmallIntegersInInt32Data) {
  EXPECT_EQ(to_int64s(loaded(tensor_of_integers("w", kInt8, {3}, {-128, -1, 127}))),
            (std::vector<int64_t>{-128, -1, 127}));
  // Unsigned readings of the same bits are in use, too.
  EXPECT_EQ(to_int64s(loaded(tensor_of_integers("w", kInt8, {1}, {255}))),
            (std::vector<int64_t>{-1}));
  EXPECT_EQ(to_int64s(loaded(tensor_of_integers("w", 4, {2}, {65535, 0}))),
            (std::vector<int64_t>{65535, 0}));
  expect_error<BadModel>("256", [] { loaded(tensor_of_integers("w", kInt8, {1}, {256})); });
  expect_error<BadModel>("2", [] { loaded(tensor_of_integers("w", kBool, {1}, {2})); });
}

TEST(TypedData, HalvesAreBits) {
  EXPECT_EQ(to_floats(loaded(tensor_of_integers("w", 10, {2}, {0x3c00, 0xc000}))),
            (std::vector<float>{1, -2}));
  EXPECT_EQ(to_floats(loaded(tensor_of_integers("w", 16, {2}, {0x3f80, 0xc000}))),
            (std::vector<float>{1, -2}));
}

TEST(TypedData, PackedEntriesHoldSeveralElements) {
  // int4: two an entry, the first in the low bits.
  EXPECT_EQ(to_int64s(loaded(tensor_of_integers("w", 22, {3}, {0xf1, 0x08}))),
            (std::vector<int64_t>{1, -1, -8}));
  // uint2: four an entry.
  EXPECT_EQ(to_int64s(loaded(tensor_of_integers("w", 25, {5}, {0b11100100, 0b10}))),
            (std::vector<int64_t>{0, 1, 2, 3, 2}));
  expect_error<BadModel>("int32_data", [] { loaded(tensor_of_integers("w", 22, {3}, {1})); });
}

TEST(TypedData, SixBitEntriesHoldOneElement) {
  // 24 bits, the first element lowest: 1 | 2 << 6 | 3 << 12 | 63 << 18, and a fifth alone.
  const Tensor w = loaded(tensor_of_integers("w", 27, {5}, {1, 2, 3, 63, 33}));
  EXPECT_EQ(bytes_of(w), std::string("\x81\x30\xfc\x21", 4));
  expect_error<BadModel>("64", [] { loaded(tensor_of_integers("w", 28, {1}, {64})); });
}

TEST(TypedData, WideFields) {
  const std::string floats = raw_bytes<float>({1.5f, -2.0f});
  const ProtoBytes real = ProtoBytes().integer(1, 2).integer(2, kFloat).bytes(4, floats);
  EXPECT_EQ(bytes_of(loaded(ProtoBytes(real).bytes(8, "w"))), floats);
  // A complex number is two entries.
  const ProtoBytes complex = ProtoBytes().integer(1, 1).integer(2, 14).bytes(4, floats);
  EXPECT_EQ(bytes_of(loaded(ProtoBytes(complex).bytes(8, "w"))), floats);
  const std::string doubles = raw_bytes<double>({0.1, -3.0});
  const ProtoBytes wide = ProtoBytes().integer(1, 2).integer(2, 11).bytes(10, doubles);
  EXPECT_EQ(bytes_of(loaded(ProtoBytes(wide).bytes(8, "w"))), doubles);
  EXPECT_EQ(to_int64s(loaded(tensor_of_integers("w", kInt64, {2}, {-5, 1LL << 40}, 7))),
            (std::vector<int64_t>{-5, 1LL << 40}));
  EXPECT_EQ(to_int64s(loaded(tensor_of_integers("w", 12, {1}, {4000000000}, 11))),
            (std::vector<int64_t>{4000000000}));
}

TEST(TypedData, Strings) {
  const ProtoBytes message = ProtoBytes().integer(1, 2).integer(2, kString);
  ProtoBytes whole = message;
  whole.bytes(6, "a").bytes(6, std::string_view("\0b", 2)).bytes(8, "w");
  EXPECT_EQ(loaded(whole).string_values(), (std::vector<std::string>{"a", std::string("\0b", 2)}));
  GraphParts parts = relu_parts();
  parts.initializers = {whole};
  EXPECT_EQ(serialize_model(parse(model(parts))), model(parts));
  expect_error<BadModel>("string_data",
                         [&] { loaded(ProtoBytes(message).bytes(6, "a").bytes(8, "w")); });
}

TEST(TensorErrors, ContradictionsAreRefused) {
  expect_error<BadModel>("tensor 'w': has the unknown data type 99",
                         [] { loaded(tensor("w", 99, {1}, "x")); });
  expect_error<BadModel>("negative", [] { loaded(tensor("w", kInt8, {-1}, "x")); });
  expect_error<BadModel>("more elements than", [] {
    loaded(tensor("w", kInt8, {1LL << 40, 1LL << 40}, "x"));
  });
  expect_error<BadModel>("too large", [] { loaded(tensor("w", kFloat, {1LL << 60}, "x")); });
  // Data in a field that the type does not use.
  expect_error<BadModel>("float_data", [] { loaded(tensor_of_integers("w", kFloat, {1}, {1})); });
  // Data in two fields.
  expect_error<BadModel>("more than one field",
                         [] { loaded(tensor_of_integers("w", kInt8, {1}, {1}).bytes(9, "x")); });
  // A large shape must not be allocated before its data are counted.
  expect_error<BadModel>("int64_data",
                         [] { loaded(tensor_of_integers("w", kInt64, {1LL << 50}, {1}, 7)); });
}

TEST(TensorErrors, BoolsOfOtherBytesAreTrue) {
  const Tensor w = loaded(tensor("w", kBool, {3}, std::string("\0\x02\x01", 3)));
  EXPECT_EQ(bytes_of(w), std::string("\0\x01\x01", 3));
}

// Of varints and bytes the file has what is shorter, and both are the same numbers.
TEST(TypedData, SmallIntegersAreWrittenAsVarints) {
  const auto written = [](const Tensor& tensor) {
    Model model;
    model.opsets[""] = 17;
    GraphBuilder b(*model.graph);
    b.output(b.node("y", "Identity", {b.constant("w", tensor)}));
    std::string file = serialize_model(model);
    EXPECT_EQ(bytes_of(*parse(file).graph->find("w")->initializer()), bytes_of(tensor));
    EXPECT_EQ(serialize_model(parse(file)), file);
    return file;
  };
  const auto has = [](const std::string& file, const std::string& part) {
    return file.find(part) != std::string::npos;
  };
  EXPECT_TRUE(has(written(Tensor::of<int64_t>({3}, std::vector<int64_t>{1, 64, 300})),
                  std::string(":\x04\x01\x40\xac\x02")));
  EXPECT_TRUE(has(written(Tensor::of<int64_t>({1}, std::vector<int64_t>{-1})),
                  "J\x08" + std::string(8, '\xff')));
  EXPECT_TRUE(has(written(Tensor::of<int32_t>({2}, std::vector<int32_t>{5, 1 << 20})),
                  std::string("*\x04\x05\x80\x80\x40")));
  EXPECT_TRUE(has(written(Tensor::of<int32_t>({1}, std::vector<int32_t>{1 << 30})), "J\x04"));
  EXPECT_TRUE(
      has(written(Tensor::of<uint64_t>({1}, std::vector<uint64_t>{7})), std::string("Z\x01\x07")));
  EXPECT_TRUE(has(written(Tensor::of<uint16_t>({1}, std::vector<uint16_t>{65535})), "J\x02"));
  EXPECT_TRUE(has(written(Tensor::of<int16_t>({2}, std::vector<int16_t>{1, 2})),
                  std::string("*\x02\x01\x02")));
}

TEST(SparseTensors, PartsMustFit) {
  const auto with = [](const ProtoBytes& values, const ProtoBytes& indices) {
    GraphParts parts = relu_parts();
    parts.sparse_initializers = {ProtoBytes().message(1, values).message(2, indices).integer(3, 6)};
    return model(parts);
  };
  const ProtoBytes values = tensor("s", kFloat, {2}, raw_bytes<float>({3, 4}));
  // Indices are written as varints, which are shorter.
  const std::string file =
      with(values, ProtoBytes().integer(1, 2).integer(2, kInt64).bytes(7, "\x01\x05").bytes(8, ""));
  const Model parsed = parse(file);
  const SparseTensor* sparse = parsed.graph->find("s")->sparse_initializer();
  ASSERT_NE(sparse, nullptr);
  EXPECT_EQ(to_floats(sparse->to_dense()), (std::vector<float>{0, 3, 0, 0, 0, 4}));
  EXPECT_EQ(serialize_model(parsed), file);
  expect_error<BadModel>("sparse tensor 's'", [&] {
    parse(with(values, tensor("", kInt64, {3}, raw_bytes<int64_t>({1, 4, 5}))));
  });
}

}  // namespace
}  // namespace dwindle
