#include "core/kernels/gemm_f32/gemm_f32.h"

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

std::vector<float> random_floats(std::mt19937& rng, int64_t count) {
  std::uniform_real_distribution<float> dist(-1.0f, 1.0f);
  std::vector<float> out(static_cast<size_t>(count));
  for (float& v : out) v = dist(rng);
  return out;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// One random product, and the double-precision answer to it.
struct Problem {
  int64_t m, n, k, lda, ldb, ldc;
  std::vector<float> a, b, c, row_bias, col_bias, row_scale, row_shift;
  bool accumulate, use_row_bias, use_col_bias, use_row_scale;
  float min, max;

  Problem(std::mt19937& rng, int64_t m, int64_t n, int64_t k) : m(m), n(n), k(k) {
    const auto pad = [&] { return static_cast<int64_t>(rng() % 3 == 0 ? rng() % 20 : 0); };
    lda = k + pad();
    ldb = n + pad();
    ldc = n + pad();
    a = random_floats(rng, m * lda);
    b = random_floats(rng, k * ldb);
    c = random_floats(rng, m * ldc);
    row_bias = random_floats(rng, m);
    col_bias = random_floats(rng, n);
    row_scale = random_floats(rng, m);
    row_shift = random_floats(rng, m);
    accumulate = rng() % 2 == 0;
    use_row_bias = rng() % 2 == 0;
    use_col_bias = rng() % 2 == 0;
    use_row_scale = rng() % 3 == 0;
    min = rng() % 2 == 0 ? -0.5f : -kInf;
    max = rng() % 2 == 0 ? 0.75f : kInf;
  }

  GemmF32 args(std::vector<float>& out) const {
    out = c;
    GemmF32 g;
    g.m = m;
    g.n = n;
    g.k = k;
    g.a = a.data();
    g.a_row_stride = lda;
    g.b = b.data();
    g.b_k_stride = ldb;
    g.c = out.data();
    g.ldc = ldc;
    g.accumulate = accumulate;
    g.row_bias = use_row_bias ? row_bias.data() : nullptr;
    g.col_bias = use_col_bias ? col_bias.data() : nullptr;
    g.row_scale = use_row_scale ? row_scale.data() : nullptr;
    g.row_shift = use_row_scale ? row_shift.data() : nullptr;
    g.min = min;
    g.max = max;
    return g;
  }

  void expect_close(const std::vector<float>& out) const {
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < ldc; ++j) {
        const float got = out[i * ldc + j];
        if (j >= n) {
          ASSERT_EQ(got, c[i * ldc + j]) << "wrote past the row at " << i << ", " << j;
          continue;
        }
        double sum = accumulate ? c[i * ldc + j] : 0.0;
        if (use_row_bias) sum += row_bias[i];
        if (use_col_bias) sum += col_bias[j];
        for (int64_t l = 0; l < k; ++l) sum += double(a[i * lda + l]) * double(b[l * ldb + j]);
        if (use_row_scale) sum = sum * row_scale[i] + row_shift[i];
        sum = std::min<double>(std::max<double>(sum, min), max);
        ASSERT_NEAR(got, sum, 1e-6 * static_cast<double>(k + 8)) << i << ", " << j;
      }
    }
  }
};

int64_t random_size(std::mt19937& rng) {
  static constexpr int64_t kRound[] = {1,  2,  3,  5,  7,  8,  9,  15, 16,  17,
                                       31, 32, 33, 48, 63, 64, 65, 67, 100, 130};
  return kRound[rng() % std::size(kRound)];
}

class GemmF32Variants : public testing::TestWithParam<Variant<GemmF32Fn>> {};

TEST_P(GemmF32Variants, SameBitsAsScalarAndCloseToDouble) {
  if (!cpu_supports(GetParam().isa)) GTEST_SKIP() << "this CPU lacks it";
  std::mt19937 rng(1);
  for (int round = 0; round < 300; ++round) {
    const int64_t k =
        round % 10 == 0 ? 250 + static_cast<int64_t>(rng() % 600) : random_size(rng) - 1;
    const Problem problem(rng, random_size(rng), random_size(rng), k);
    SCOPED_TRACE(std::to_string(problem.m) + " x " + std::to_string(problem.n) + " x " +
                 std::to_string(problem.k));
    std::vector<float> expected, got;
    gemm_f32(problem.args(expected), gemm_f32_variants().back().fn);
    gemm_f32(problem.args(got), GetParam().fn);
    ASSERT_TRUE(same_bits(got, expected));
    ASSERT_NO_FATAL_FAILURE(problem.expect_close(got));
  }
}

TEST_P(GemmF32Variants, TransposedPackedAndFilledBAgree) {
  if (!cpu_supports(GetParam().isa)) GTEST_SKIP() << "this CPU lacks it";
  std::mt19937 rng(2);
  for (int round = 0; round < 100; ++round) {
    const Problem problem(rng, random_size(rng), random_size(rng),
                          1 + static_cast<int64_t>(rng() % 600));
    const auto& [m, n, k, lda, ldb] =
        std::tie(problem.m, problem.n, problem.k, problem.lda, problem.ldb);
    std::vector<float> expected, got;
    gemm_f32(problem.args(expected), GetParam().fn);

    std::vector<float> bt(k * n), at(m * k);
    for (int64_t l = 0; l < k; ++l) {
      for (int64_t j = 0; j < n; ++j) bt[j * k + l] = problem.b[l * ldb + j];
      for (int64_t i = 0; i < m; ++i) at[l * m + i] = problem.a[i * lda + l];
    }
    GemmF32 transposed = problem.args(got);
    transposed.a = at.data();
    transposed.a_row_stride = 1;
    transposed.a_k_stride = m;
    transposed.b = bt.data();
    transposed.b_k_stride = 1;
    transposed.b_n_stride = k;
    gemm_f32(transposed, GetParam().fn);
    ASSERT_TRUE(same_bits(got, expected));

    const PackedBF32 packed(bt.data(), k, n, 1, k);
    GemmF32 with_packed = problem.args(got);
    with_packed.b = nullptr;
    with_packed.packed_b = &packed;
    gemm_f32(with_packed, GetParam().fn);
    ASSERT_TRUE(same_bits(got, expected));

    const FillPanelF32 fill = [&](int64_t k0, int64_t k1, int64_t n0, int64_t n1, float* to,
                                  int64_t ld) {
      for (int64_t l = k0; l < k1; ++l) {
        for (int64_t j = n0; j < n1; ++j) to[(l - k0) * ld + j - n0] = problem.b[l * ldb + j];
      }
    };
    GemmF32 with_fill = problem.args(got);
    with_fill.b = nullptr;
    with_fill.fill_b = &fill;
    gemm_f32(with_fill, GetParam().fn);
    ASSERT_TRUE(same_bits(got, expected));
  }
}

TEST_P(GemmF32Variants, NanPassesThroughTheClamp) {
  if (!cpu_supports(GetParam().isa)) GTEST_SKIP() << "this CPU lacks it";
  const float a = 1.0f;
  std::vector<float> b(17, 2.0f), c(17);
  b[3] = b[16] = std::nanf("");
  GemmF32 g;
  g.m = g.k = 1;
  g.n = g.ldc = g.b_k_stride = 17;
  g.a = &a;
  g.a_row_stride = 1;
  g.b = b.data();
  g.c = c.data();
  g.min = 0.0f;
  g.max = 6.0f;
  gemm_f32(g, GetParam().fn);
  for (int j = 0; j < 17; ++j) EXPECT_EQ(std::isnan(c[j]), j == 3 || j == 16) << j;
}

INSTANTIATE_TEST_SUITE_P(All, GemmF32Variants,
                         testing::ValuesIn(gemm_f32_variants().begin(), gemm_f32_variants().end()),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(GemmF32, SameBitsForAnyNumberOfThreads) {
  std::mt19937 rng(3);
  for (const auto& [m, n, k] :
       {std::tuple{300, 20, 700}, {7, 900, 300}, {200, 300, 64}, {1, 3000, 500}}) {
    const Problem problem(rng, m, n, k);
    std::vector<float> one, many;
    set_num_threads(1);
    gemm_f32(problem.args(one));
    set_num_threads(5);
    gemm_f32(problem.args(many));
    set_num_threads(0);
    EXPECT_TRUE(same_bits(one, many)) << m << " x " << n << " x " << k;
  }
}

TEST(GemmF32, EmptySums) {
  std::vector<float> c(6, 9.0f);
  const std::vector<float> bias = {1, 2, 3};
  GemmF32 g;
  g.m = 2;
  g.n = g.ldc = 3;
  g.c = c.data();
  g.col_bias = bias.data();
  gemm_f32(g);
  EXPECT_EQ(c, (std::vector<float>{1, 2, 3, 1, 2, 3}));
}

TEST(GemmF32, RejectsContradictions) {
  float x = 0;
  GemmF32 g;
  g.m = g.n = g.k = g.ldc = 1;
  g.a = g.c = &x;
  EXPECT_THROW(gemm_f32(g), BadOption);  // no B
  g.b = &x;
  g.ldc = 0;
  EXPECT_THROW(gemm_f32(g), BadOption);
  g.ldc = 1;
  const PackedBF32 packed(&x, 1, 1, 1, 1);
  g.packed_b = &packed;
  EXPECT_THROW(gemm_f32(g), BadOption);  // two B
}

}  // namespace
}  // namespace dwindle::kernels
