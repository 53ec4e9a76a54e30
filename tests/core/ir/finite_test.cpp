#include "core/ir/finite.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "core/ir/model.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Tensor to_dtype(const std::vector<float>& values, DType dtype) {
  const Dims shape = {static_cast<int64_t>(values.size())};
  if (dtype == DType::kFloat) return Tensor::of<float>(shape, values);
  if (dtype == DType::kDouble) {
    return Tensor::of<double>(shape, std::vector<double>(values.begin(), values.end()));
  }
  if (dtype == DType::kFloat16) {
    std::vector<Float16> halves;
    for (float value : values) halves.push_back(to_float16(value));
    return Tensor::of<Float16>(shape, halves);
  }
  std::vector<Bfloat16> halves;
  for (float value : values) halves.push_back(to_bfloat16(value));
  return Tensor::of<Bfloat16>(shape, halves);
}

// Against a count by hand, on tensors of more than one part too.
TEST(Finite, counts_are_those_of_a_plain_loop) {
  std::mt19937 random(3);
  for (DType dtype : {DType::kFloat, DType::kDouble, DType::kFloat16, DType::kBfloat16}) {
    for (size_t size : {size_t{0}, size_t{1}, size_t{7}, size_t{1000}, (size_t{1} << 20) + 5}) {
      std::vector<float> values(size, 1.5f);
      NonFinite wanted;
      for (int hit = 0; hit < 5 && size > 6; ++hit) {
        values[random() % size] = hit % 2 == 0 ? NAN : hit == 1 ? kInfinity : -kInfinity;
      }
      if (size > 1000) values.back() = kInfinity;
      for (size_t i = 0; i < size; ++i) {
        if (std::isfinite(values[i])) continue;
        ++(std::isnan(values[i]) ? wanted.nans : wanted.infinities);
        if (wanted.first < 0) wanted.first = static_cast<int64_t>(i);
        if (std::isnan(values[i]) && wanted.first_nan < 0) {
          wanted.first_nan = static_cast<int64_t>(i);
        }
      }
      const NonFinite found = find_non_finite(to_dtype(values, dtype));
      EXPECT_EQ(found.nans, wanted.nans) << size;
      EXPECT_EQ(found.infinities, wanted.infinities) << size;
      EXPECT_EQ(found.first, wanted.first) << size;
      EXPECT_EQ(found.first_nan, wanted.first_nan) << size;
      EXPECT_EQ(found.any(), size > 6);
    }
  }
}

TEST(Finite, largest_numbers_are_finite_and_integers_never_otherwise) {
  const float most = std::numeric_limits<float>::max();
  EXPECT_FALSE(find_non_finite(Tensor::of<float>({2}, std::vector<float>{most, -most})).any());
  EXPECT_FALSE(find_non_finite(Tensor::scalar<int64_t>(-1)).any());
  EXPECT_FALSE(find_non_finite(Tensor::strings({1}, {"nan"})).any());
}

TEST(Finite, names) {
  EXPECT_EQ(non_finite_name(NAN), "NaN");
  EXPECT_EQ(non_finite_name(HUGE_VAL), "infinity");
  EXPECT_EQ(non_finite_name(-HUGE_VAL), "-infinity");
  EXPECT_EQ(index_of_element(17, {2, 3, 4}), (Dims{1, 1, 1}));
  EXPECT_EQ(index_of_element(0, {}), Dims{});
}

TEST(Finite, constants_of_nested_graphs_and_constant_nodes_too) {
  const Model model = make_nested_model({2}, [](GraphBuilder& b, Value* x) {
    b.floats("sound", {2}, {1, 2});
    Value* inner = b.floats("inner", {2}, {0, NAN});
    Value* made = b.node("made", "Constant", {}, {{"value", Tensor::scalar(-kInfinity)}});
    b.output(b.node("sum", "Sum", {x, inner, made}));
  });
  const std::vector<NonFiniteConstant> found = non_finite_constants(model);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].name, "inner");
  EXPECT_EQ(found[0].found.first_nan, 1);
  EXPECT_EQ(found[1].name, "made");
  EXPECT_EQ(found[1].found.infinities, 1);
  EXPECT_EQ(found[1].found.first_value, -HUGE_VAL);
}

}  // namespace
}  // namespace dwindle::testing
