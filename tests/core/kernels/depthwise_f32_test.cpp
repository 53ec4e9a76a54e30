#include "core/kernels/depthwise_f32/depthwise_f32.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "core/support/error.h"
#include "core/support/threads.h"

namespace dwindle::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

struct Problem {
  DepthwiseF32 args;
  std::vector<float> x, w, bias, scale, shift, y;

  explicit Problem(std::mt19937& rng) {
    const auto one_of = [&](std::initializer_list<int64_t> list) {
      return list.begin()[rng() % list.size()];
    };
    args.batch = one_of({1, 1, 2});
    args.channels = one_of({1, 2, 3, 5});
    args.multiplier = one_of({1, 1, 2, 3});
    DepthwiseF32Geometry& g = args.geometry;
    g.kernel_h = one_of({1, 2, 3, 3, 5, 7});
    g.kernel_w = one_of({1, 2, 3, 3, 5, 7, 11});
    g.stride_h = one_of({1, 1, 2, 3});
    g.stride_w = rng() % 3 == 0 ? one_of({1, 2, 3, 5}) : g.stride_h;
    g.dilation_h = one_of({1, 1, 1, 2, 3});
    g.dilation_w = rng() % 3 == 0 ? one_of({1, 2, 4}) : g.dilation_h;
    g.in_h = one_of({1, 4, 5, 7, 14, 20, 33});
    g.in_w = one_of({1, 5, 7, 8, 14, 15, 16, 17, 31, 33, 64, 65, 112, 130});
    g.pad_top = one_of({0, 1, 2, 9});
    g.pad_left = one_of({0, 1, 2, 3, 20});
    const int64_t pad_bottom = one_of({0, 1, 2, 9});
    const int64_t pad_right = one_of({0, 1, 2, 3, 20});
    g.out_h = out_size(g.in_h + g.pad_top + pad_bottom, g.kernel_h, g.stride_h, g.dilation_h);
    g.out_w = out_size(g.in_w + g.pad_left + pad_right, g.kernel_w, g.stride_w, g.dilation_w);
    args.min = rng() % 2 == 0 ? -0.5f : -kInf;
    args.max = rng() % 2 == 0 ? 0.75f : kInf;
    fill(rng);
  }

  static int64_t out_size(int64_t in, int64_t kernel, int64_t stride, int64_t dilation) {
    const int64_t reach = (kernel - 1) * dilation + 1;
    return in < reach ? 0 : (in - reach) / stride + 1;
  }

  void fill(std::mt19937& rng) {
    const DepthwiseF32Geometry& g = args.geometry;
    std::uniform_real_distribution<float> dist(-1.0f, 1.0f);
    const int64_t filters = args.channels * args.multiplier;
    x.resize(args.batch * args.channels * g.in_h * g.in_w);
    w.resize(filters * g.kernel_h * g.kernel_w);
    for (auto* values : {&bias, &scale, &shift}) values->resize(filters);
    y.resize(args.batch * filters * g.out_h * g.out_w);
    for (auto* values : {&x, &w, &bias, &scale, &shift}) {
      for (float& v : *values) v = dist(rng);
    }
    args.x = x.data();
    args.w = w.data();
    args.bias = rng() % 3 == 0 ? nullptr : bias.data();
    const bool scales = rng() % 3 == 0;
    args.scale = scales ? scale.data() : nullptr;
    args.shift = scales ? shift.data() : nullptr;
  }

  std::vector<float> run(DepthwiseF32Fn kernel) const {
    std::vector<float> out(y.size() + 16, 123.0f);  // the last 16 must stay as they are
    DepthwiseF32 d = args;
    d.y = out.data();
    depthwise_f32(d, kernel);
    for (size_t i = y.size(); i < out.size(); ++i) EXPECT_EQ(out[i], 123.0f) << "wrote past y";
    return out;
  }

  void expect_close(const std::vector<float>& out) const {
    const DepthwiseF32Geometry& g = args.geometry;
    const int64_t filters = args.channels * args.multiplier;
    for (size_t i = 0; i < y.size(); ++i) {
      const int64_t ox = i % g.out_w;
      const int64_t oy = i / g.out_w % g.out_h;
      const int64_t filter = i / g.out_w / g.out_h % filters;
      const int64_t image = i / g.out_w / g.out_h / filters;
      const float* plane =
          x.data() + (image * args.channels + filter / args.multiplier) * g.in_h * g.in_w;
      double sum = args.bias != nullptr ? bias[filter] : 0.0;
      for (int64_t t = 0; t < g.kernel_h * g.kernel_w; ++t) {
        const int64_t iy = oy * g.stride_h + t / g.kernel_w * g.dilation_h - g.pad_top;
        const int64_t ix = ox * g.stride_w + t % g.kernel_w * g.dilation_w - g.pad_left;
        if (iy < 0 || iy >= g.in_h || ix < 0 || ix >= g.in_w) continue;
        sum += double(w[filter * g.kernel_h * g.kernel_w + t]) * double(plane[iy * g.in_w + ix]);
      }
      if (args.scale != nullptr) sum = sum * scale[filter] + shift[filter];
      sum = std::min<double>(std::max<double>(sum, args.min), args.max);
      ASSERT_NEAR(out[i], sum, 1e-5) << "element " << i;
    }
  }

  std::string text() const {
    const DepthwiseF32Geometry& g = args.geometry;
    std::string s;
    for (int64_t v : {g.in_h, g.in_w, g.out_h, g.out_w, g.kernel_h, g.kernel_w, g.stride_h,
                      g.stride_w, g.dilation_h, g.dilation_w, g.pad_top, g.pad_left}) {
      s += std::to_string(v) + " ";
    }
    return s;
  }
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class DepthwiseF32Variants : public testing::TestWithParam<Variant<DepthwiseF32Fn>> {};

TEST_P(DepthwiseF32Variants, SameBitsAsScalarAndCloseToDouble) {
  if (!cpu_supports(GetParam().isa)) GTEST_SKIP() << "this CPU lacks it";
  std::mt19937 rng(1);
  for (int round = 0; round < 400; ++round) {
    const Problem problem(rng);
    SCOPED_TRACE(problem.text());
    const std::vector<float> got = problem.run(GetParam().fn);
    ASSERT_TRUE(same_bits(got, problem.run(depthwise_f32_variants().back().fn)));
    ASSERT_NO_FATAL_FAILURE(problem.expect_close(got));
  }
}

TEST_P(DepthwiseF32Variants, NanPassesThroughTheClampAndStaysLocal) {
  if (!cpu_supports(GetParam().isa)) GTEST_SKIP() << "this CPU lacks it";
  std::vector<float> x(9 * 20, 1.0f), w(9, 0.5f), y(9 * 20);
  x[4 * 20 + 18] = std::nanf("");
  DepthwiseF32 d;
  d.geometry = {.in_h = 9,
                .in_w = 20,
                .out_h = 9,
                .out_w = 20,
                .kernel_h = 3,
                .kernel_w = 3,
                .pad_top = 1,
                .pad_left = 1};
  d.x = x.data();
  d.w = w.data();
  d.y = y.data();
  d.min = 0.0f;
  d.max = 6.0f;
  depthwise_f32(d, GetParam().fn);
  for (int i = 0; i < 9 * 20; ++i) {
    const bool near = std::abs(i / 20 - 4) <= 1 && std::abs(i % 20 - 18) <= 1;
    EXPECT_EQ(std::isnan(y[i]), near) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, DepthwiseF32Variants,
                         testing::ValuesIn(depthwise_f32_variants().begin(),
                                           depthwise_f32_variants().end()),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(DepthwiseF32, SameBitsForAnyNumberOfThreads) {
  std::mt19937 rng(2);
  Problem problem(rng);
  problem.args.channels = 200;
  problem.args.geometry = {.in_h = 14,
                           .in_w = 14,
                           .out_h = 14,
                           .out_w = 14,
                           .kernel_h = 5,
                           .kernel_w = 5,
                           .pad_top = 2,
                           .pad_left = 2};
  problem.fill(rng);
  set_num_threads(1);
  const std::vector<float> one = problem.run(nullptr);
  set_num_threads(5);
  const std::vector<float> many = problem.run(nullptr);
  set_num_threads(0);
  EXPECT_TRUE(same_bits(one, many));
}

TEST(DepthwiseF32, RejectsBadGeometry) {
  DepthwiseF32 d;
  d.geometry.stride_w = 0;
  EXPECT_THROW(depthwise_f32(d), BadOption);
  d.geometry.stride_w = 1;
  d.channels = -1;
  EXPECT_THROW(depthwise_f32(d), BadOption);
}

}  // namespace
}  // namespace dwindle::kernels
