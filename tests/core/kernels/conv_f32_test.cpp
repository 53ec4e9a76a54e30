#include "core/kernels/conv_f32/conv_f32.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "core/support/error.h"
#include "core/support/threads.h"

namespace dwindle::kernels {
namespace {

int64_t product(const std::array<int64_t, 3>& s) { return s[0] * s[1] * s[2]; }

struct Problem {
  ConvF32 conv;
  std::vector<float> x, w, bias, scale, shift, y;

  // `rank` is the number of spatial dimensions.
  Problem(std::mt19937& rng, int rank) {
    const auto one_of = [&](std::initializer_list<int64_t> list) {
      return list.begin()[rng() % list.size()];
    };
    conv.batch = one_of({1, 1, 2});
    conv.groups = one_of({1, 1, 1, 2, 3});
    conv.in_channels = conv.groups * one_of({1, 2, 3, 8, 30});
    conv.out_channels = conv.groups * one_of({1, 3, 6, 16, 33});
    const bool pointwise = rng() % 4 == 0;
    for (int d = 3 - rank; d < 3; ++d) {
      conv.in_size[d] = rank == 3 ? one_of({1, 3, 6, 9}) : one_of({1, 5, 7, 8, 14, 16, 19, 28});
      int64_t pad_end = 0;
      if (!pointwise) {
        conv.kernel[d] = one_of({1, 2, 3, 3, 5});
        conv.stride[d] = one_of({1, 1, 2, 3});
        conv.dilation[d] = one_of({1, 1, 2});
        conv.pad_begin[d] = one_of({0, 1, 2, 6});
        pad_end = one_of({0, 1, 2, 6});
      }
      const int64_t reach = (conv.kernel[d] - 1) * conv.dilation[d] + 1;
      const int64_t padded = conv.in_size[d] + conv.pad_begin[d] + pad_end;
      conv.out_size[d] = padded < reach ? 0 : (padded - reach) / conv.stride[d] + 1;
    }
    std::uniform_real_distribution<float> dist(-1.0f, 1.0f);
    x.resize(conv.batch * conv.in_channels * product(conv.in_size));
    w.resize(conv.out_channels * conv.in_channels / conv.groups * product(conv.kernel));
    for (auto* values : {&bias, &scale, &shift}) values->resize(conv.out_channels);
    y.resize(conv.batch * conv.out_channels * product(conv.out_size), 123.0f);
    for (auto* values : {&x, &w, &bias, &scale, &shift}) {
      for (float& v : *values) v = dist(rng);
    }
    conv.x = x.data();
    conv.w = w.data();
    conv.bias = rng() % 3 == 0 ? nullptr : bias.data();
    const bool scales = rng() % 3 == 0;
    conv.scale = scales ? scale.data() : nullptr;
    conv.shift = scales ? shift.data() : nullptr;
    if (rng() % 2 == 0) conv.min = -0.5f;
    if (rng() % 2 == 0) conv.max = 1.5f;
  }

  // The answer, one element at a time: in double precision, or (`sequential`) in the one order of
  // single-precision operations that the header promises.
  template <typename Real>
  Real expected(int64_t image, int64_t o, const std::array<int64_t, 3>& at) const {
    const int64_t group_in = conv.in_channels / conv.groups;
    const int64_t group = o / (conv.out_channels / conv.groups);
    Real sum = conv.bias != nullptr ? bias[o] : 0.0f;
    const float* weight = w.data() + o * group_in * product(conv.kernel);
    for (int64_t c = 0; c < group_in; ++c) {
      const float* in =
          x.data() + (image * conv.in_channels + group * group_in + c) * product(conv.in_size);
      for (int64_t t = 0; t < product(conv.kernel); ++t) {
        const std::array<int64_t, 3> tap = {t / conv.kernel[2] / conv.kernel[1],
                                            t / conv.kernel[2] % conv.kernel[1],
                                            t % conv.kernel[2]};
        bool inside = true;
        int64_t offset = 0;
        for (int d = 0; d < 3; ++d) {
          const int64_t i = at[d] * conv.stride[d] + tap[d] * conv.dilation[d] - conv.pad_begin[d];
          inside = inside && i >= 0 && i < conv.in_size[d];
          offset = offset * conv.in_size[d] + i;
        }
        sum = std::fma(Real(*weight++), inside ? Real(in[offset]) : Real(0), sum);
      }
    }
    if (conv.scale != nullptr) sum = sum * scale[o] + shift[o];
    return std::min<Real>(std::max<Real>(sum, conv.min), conv.max);
  }

  void expect_right() {
    conv.y = y.data();
    conv_f32(conv);
    size_t i = 0;
    for (int64_t image = 0; image < conv.batch; ++image) {
      for (int64_t o = 0; o < conv.out_channels; ++o) {
        for (int64_t p = 0; p < product(conv.out_size); ++p, ++i) {
          const std::array<int64_t, 3> at = {p / conv.out_size[2] / conv.out_size[1],
                                             p / conv.out_size[2] % conv.out_size[1],
                                             p % conv.out_size[2]};
          ASSERT_NEAR(y[i], expected<double>(image, o, at), 1e-4) << "element " << i;
          ASSERT_EQ(y[i], expected<float>(image, o, at)) << "element " << i;
        }
      }
    }
  }

  std::string text() const {
    std::string s = std::to_string(conv.groups) + " groups, " + std::to_string(conv.in_channels) +
                    " -> " + std::to_string(conv.out_channels) + ";";
    for (const auto& sizes :
         {conv.in_size, conv.out_size, conv.kernel, conv.stride, conv.dilation, conv.pad_begin}) {
      for (int64_t v : sizes) s += " " + std::to_string(v);
      s += ";";
    }
    return s;
  }
};

class ConvF32Rank : public testing::TestWithParam<int> {};

TEST_P(ConvF32Rank, PromisedBitsAndCloseToDouble) {
  std::mt19937 rng(7);
  for (int round = 0; round < (GetParam() == 3 ? 40 : 80); ++round) {
    Problem problem(rng, GetParam());
    SCOPED_TRACE(problem.text());
    ASSERT_NO_FATAL_FAILURE(problem.expect_right());
  }
}

INSTANTIATE_TEST_SUITE_P(Spatial, ConvF32Rank, testing::Values(1, 2, 3));

TEST(ConvF32, SameBitsForAnyNumberOfThreads) {
  std::mt19937 rng(8);
  for (int round = 0; round < 20; ++round) {
    Problem problem(rng, 2);
    std::vector<float> one(problem.y.size()), many(problem.y.size());
    set_num_threads(1);
    problem.conv.y = one.data();
    conv_f32(problem.conv);
    set_num_threads(5);
    problem.conv.y = many.data();
    conv_f32(problem.conv);
    set_num_threads(0);
    EXPECT_EQ(one, many) << problem.text();
  }
}

TEST(ConvF32, RejectsBadArguments) {
  ConvF32 conv;
  conv.in_channels = 3;
  conv.groups = 2;
  EXPECT_THROW(conv_f32(conv), BadOption);
  conv.groups = 1;
  conv.stride[2] = 0;
  EXPECT_THROW(conv_f32(conv), BadOption);
}

}  // namespace
}  // namespace dwindle::kernels
