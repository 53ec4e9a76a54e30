// Attention and RotaryEmbedding.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/kernels/gemm_f32/gemm_f32.h"
#include "core/kernels/unary_f32/unary_f32.h"
#include "core/ops/args.h"
#include "core/ops/families.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

// Where heads lie in a tensor of [batch, heads, length, size] or [batch, length, heads · size].
struct Heads {
  const float* data = nullptr;
  int64_t batch = 0, heads = 0, length = 0, size = 0;
  bool flat = false;  // three axes

  int64_t stride() const { return flat ? heads * size : size; }  // between tokens
  const float* head(int64_t b, int64_t h) const {
    return data + (flat ? b * length * heads * size + h * size : (b * heads + h) * length * size);
  }
};

Heads read_heads(const KernelContext& c, size_t i, int64_t heads) {
  const Tensor& in = c.input(i);
  const Dims& s = in.shape();
  if (s.size() != 3 && s.size() != 4) c.fail("an input has neither three nor four axes");
  if (in.dtype() != DType::kFloat) {
    c.unsupported("an input of " + std::string(dtype_name(in.dtype())));
  }
  if (s.size() == 4) return {in.data<float>(), s[0], s[1], s[2], s[3], false};
  if (heads < 1 || s[2] % heads != 0) c.fail("the number of heads does not fit the input");
  return {in.data<float>(), s[0], heads, s[1], s[2] / heads, true};
}

// ---- Attention ---------------------------------------------------------------------------------

void infer_attention(InferContext& c) {
  const auto &q = c.shape(0), &k = c.shape(1), &v = c.shape(2);
  const bool flat = q && q->size() == 3;
  if (!q || !k || !v || k->size() != q->size() || v->size() != q->size() ||
      (q->size() != 3 && q->size() != 4)) {
    for (size_t i = 0; i < 4; ++i) c.set_output(i, c.dtype(i == 2 ? 2 : 0));
    return;
  }
  const int64_t q_heads = c.node().int_attribute("q_num_heads", 0);
  const int64_t kv_heads = c.node().int_attribute("kv_num_heads", 0);
  Shape y = *q;
  if (!flat) {
    y[3] = (*v)[3];
  } else if ((*v)[2].known() && kv_heads > 0) {
    y[2] = (*v)[2].extent / kv_heads * q_heads;
  } else {
    y[2] = {};
  }
  c.set_output(0, c.dtype(0), std::move(y));
  c.set_output(1, c.dtype(1), Shape(4));
  c.set_output(2, c.dtype(2), Shape(4));
  c.set_output(3, c.dtype(0), Shape(4));
}

struct AttentionRule {
  int64_t q_heads = 0, kv_heads = 0, shown = 0, left = -1, right = -1;
  float scale = 0, softcap = 0;  // scale 0: from the size of a head
  bool causal = false;
};

// The past entries, if any, and the new ones behind them, as [batch, heads, length, size].
Tensor with_past(const KernelContext& c, const Heads& now, size_t past_input) {
  int64_t before = 0;
  const float* past = nullptr;
  if (c.has_input(past_input)) {
    const Tensor& tensor = c.input(past_input);
    const Dims& s = tensor.shape();
    if (s.size() != 4 || s[0] != now.batch || s[1] != now.heads || s[3] != now.size) {
      c.fail("a past input does not fit the new one");
    }
    before = s[2];
    past = tensor.data<float>();
  }
  Tensor all =
      Tensor::allocate(DType::kFloat, {now.batch, now.heads, before + now.length, now.size});
  float* to = all.mutable_data<float>();
  for (int64_t b = 0; b < now.batch; ++b) {
    for (int64_t h = 0; h < now.heads; ++h) {
      to = std::copy_n(past + (b * now.heads + h) * before * now.size, before * now.size, to);
      for (int64_t t = 0; t < now.length; ++t) {
        to = std::copy_n(now.head(b, h) + t * now.stride(), now.size, to);
      }
    }
  }
  return all;
}

// The mask of attn_mask, causality, windows and padding, as something to add to the scores.
class Bias {
 public:
  Bias(const KernelContext& c, const AttentionRule& rule, const Heads& q, int64_t past,
       int64_t total)
      : rule_(rule), length_(q.length), past_(past), total_(total) {
    if (c.has_input(3)) read_mask(c, q);
    if (!c.has_input(6)) return;
    valid_ = to_int64s(c.input(6));
    if (static_cast<int64_t>(valid_.size()) != q.batch) c.fail("nonpad_kv_seqlen: one a batch");
  }

  // Adds to row `i` of the scores of a head.
  void add(int64_t batch, int64_t head, int64_t i, float* row) const {
    if (!mask_.empty()) {
      const float* from = mask_.data() + batch * strides_[0] + head * strides_[1] + i * strides_[2];
      for (int64_t j = 0; j < total_; ++j) {
        row[j] += j < mask_length_ ? from[j * strides_[3]] : kNever;
      }
    }
    int64_t end = total_;
    int64_t at = past_ + i;
    if (!valid_.empty()) {
      const int64_t valid = valid_[static_cast<size_t>(batch)];
      end = std::min(end, valid);
      at = past_ > 0 ? at : valid - length_ + i;
    }
    if (rule_.causal) end = std::min(end, at + 1);
    if (rule_.right >= 0) end = std::min(end, at + rule_.right + 1);
    const int64_t begin = rule_.left >= 0 ? at - rule_.left : 0;
    for (int64_t j = 0; j < total_; ++j) {
      if (j < begin || j >= end) row[j] = kNever;
    }
  }

 private:
  void read_mask(const KernelContext& c, const Heads& q) {
    const Tensor& mask = c.input(3);
    mask_ = to_floats(mask);
    if (mask.dtype() == DType::kBool) {
      for (float& value : mask_) value = value != 0 ? 0 : kNever;
    }
    Dims shape = mask.shape();
    if (shape.empty() || shape.size() > 4) c.fail("attn_mask has no or too many axes");
    shape.insert(shape.begin(), 4 - shape.size(), 1);
    const Dims wanted = {q.batch, q.heads, q.length, total_};
    int64_t stride = 1;
    for (size_t axis = 4; axis-- > 0;) {
      const bool shorter = axis == 3 && shape[axis] < total_ && shape[axis] > 1;
      if (shape[axis] != 1 && shape[axis] != wanted[axis] && !shorter) {
        c.fail("attn_mask does not broadcast to the scores");
      }
      strides_[axis] = shape[axis] == 1 ? 0 : stride;
      stride *= shape[axis];
    }
    mask_length_ = shape[3] == 1 ? total_ : shape[3];
  }

  const AttentionRule& rule_;
  int64_t length_, past_, total_;
  std::vector<float> mask_;
  int64_t strides_[4] = {};
  int64_t mask_length_ = 0;
  std::vector<int64_t> valid_;
};

// A row that sees nothing becomes 0 rather than NaN.
void softmax(float* row, int64_t count) {
  const float most = *std::max_element(row, row + count);
  if (most == kNever) return static_cast<void>(std::fill_n(row, count, 0.0f));
  float total = 0;
  kernels::unary_f32({.function = kernels::UnaryFunction::kExp,
                      .x = row,
                      .count = count,
                      .alpha = most,
                      .y = row});
  for (int64_t i = 0; i < count; ++i) total += row[i];
  for (int64_t i = 0; i < count; ++i) row[i] /= total;
}

// One head: scores [length, total] are scratch; `shown`, where not null, takes what output 3 shows.
struct HeadWork {
  int64_t batch, head;
  const float *q, *k, *v;
  float *scores, *y, *shown;
  int64_t y_stride;
};

void attend(const AttentionRule& rule, const Bias& bias, const Heads& q, int64_t total,
            int64_t v_size, float scale, const HeadWork& work) {
  kernels::GemmF32 gemm;
  gemm.m = q.length;
  gemm.n = total;
  gemm.k = q.size;
  gemm.a = work.q;
  gemm.a_row_stride = q.stride();
  gemm.b = work.k;
  gemm.b_k_stride = 1;
  gemm.b_n_stride = q.size;
  gemm.c = work.scores;
  gemm.ldc = total;
  kernels::gemm_f32(gemm);
  for (int64_t i = 0; i < q.length; ++i) {
    float* row = work.scores + i * total;
    auto show = [&](int64_t mode) {
      if (work.shown != nullptr && rule.shown == mode)
        std::copy_n(row, total, work.shown + i * total);
    };
    for (int64_t j = 0; j < total; ++j) row[j] *= scale;
    show(0);
    for (int64_t j = 0; j < total && rule.softcap > 0; ++j) {
      row[j] = rule.softcap * std::tanh(row[j] / rule.softcap);
    }
    show(1);
    bias.add(work.batch, work.head, i, row);
    show(2);
    softmax(row, total);
    show(3);
  }
  gemm.n = v_size;
  gemm.k = total;
  gemm.a = work.scores;
  gemm.a_row_stride = total;
  gemm.b = work.v;
  gemm.b_k_stride = v_size;
  gemm.b_n_stride = 1;
  gemm.c = work.y;
  gemm.ldc = work.y_stride;
  kernels::gemm_f32(gemm);
}

void attention(KernelContext& c, const AttentionRule& rule) {
  const Heads q = read_heads(c, 0, rule.q_heads);
  const Heads k = read_heads(c, 1, rule.kv_heads), v = read_heads(c, 2, rule.kv_heads);
  if (k.batch != q.batch || v.batch != q.batch || k.heads != v.heads || k.length != v.length ||
      k.size != q.size || k.heads < 1 || q.heads % k.heads != 0) {
    c.fail("Q, K and V do not fit");
  }
  const Tensor keys = with_past(c, k, 4), values = with_past(c, v, 5);
  const int64_t total = keys.shape()[2];
  if (values.shape()[2] != total) c.fail("the past key and value differ in length");
  const Bias bias(c, rule, q, total - k.length, total);
  Dims shape = {q.batch, q.heads, q.length, v.size};
  if (q.flat) shape = {q.batch, q.length, q.heads * v.size};
  float* y = c.output(0, DType::kFloat, shape).mutable_data<float>();
  float* shown = nullptr;
  if (c.wants_output(3)) {
    shown = c.output(3, DType::kFloat, {q.batch, q.heads, q.length, total}).mutable_data<float>();
  }
  Tensor scratch = Tensor::allocate(DType::kFloat, {q.length, total});
  const float scale = rule.scale != 0 ? rule.scale : 1 / std::sqrt(static_cast<float>(q.size));
  if (total == 0) std::fill_n(y, element_count(shape), 0.0f);
  for (int64_t i = 0; i < q.batch * q.heads && total > 0; ++i) {
    const int64_t b = i / q.heads, h = i % q.heads;
    const int64_t kv = b * k.heads + h / (q.heads / k.heads);
    const int64_t at =
        q.flat ? b * q.length * q.heads * v.size + h * v.size : i * q.length * v.size;
    attend(rule, bias, q, total, v.size, scale,
           {b, h, q.head(b, h), keys.data<float>() + kv * total * k.size,
            values.data<float>() + kv * total * v.size, scratch.mutable_data<float>(), y + at,
            shown == nullptr ? nullptr : shown + i * q.length * total,
            q.flat ? q.heads * v.size : v.size});
  }
  c.set_output(1, keys);
  c.set_output(2, values);
}

Kernel attention_kernel(const Node& node, int opset) {
  AttentionRule rule;
  rule.q_heads = node.int_attribute("q_num_heads", 0);
  rule.kv_heads = node.int_attribute("kv_num_heads", 0);
  rule.shown = node.int_attribute("qk_matmul_output_mode", 0);
  rule.scale = node.float_attribute("scale", 0);
  rule.softcap = node.float_attribute("softcap", 0);
  rule.causal = node.int_attribute("is_causal", 0) != 0;
  if (opset >= 25) {
    rule.left = node.int_attribute("left_window_size", -1);
    rule.right = node.int_attribute("right_window_size", -1);
  }
  if (node.int_attribute("softmax_precision", 1) == static_cast<int64_t>(DType::kDouble)) {
    throw Unsupported("Attention node '" + node.name + "': softmax in float64 is not supported");
  }
  return [rule](KernelContext& c) { attention(c, rule); };
}

// ---- RotaryEmbedding ---------------------------------------------------------------------------

void infer_rotary(InferContext& c) { c.set_output(0, c.dtype(0), c.shape(0)); }

void rotary(KernelContext& c) {
  const Heads x = read_heads(c, 0, std::max<int64_t>(c.node().int_attribute("num_heads", 0), 1));
  if (x.flat && c.node().int_attribute("num_heads", 0) < 1) c.fail("num_heads is missing");
  const bool interleaved = c.node().int_attribute("interleaved", 0) != 0;
  int64_t turned = c.node().int_attribute("rotary_embedding_dim", 0);
  if (turned == 0) turned = x.size;
  if (turned < 0 || turned > x.size || turned % 2 != 0) c.fail("rotary_embedding_dim");
  const int64_t half = turned / 2;
  const Tensor &cosines = c.input(1), &sines = c.input(2);
  const bool by_position = c.has_input(3);
  std::vector<int64_t> positions;
  if (by_position) positions = to_int64s(c.input(3));
  const Dims expected = {x.batch, x.length, half};
  const bool fits = by_position ? cosines.rank() == 2 && cosines.shape()[1] == half &&
                                      static_cast<int64_t>(positions.size()) == x.batch * x.length
                                : cosines.shape() == expected;
  if (!fits || sines.shape() != cosines.shape()) c.fail("the caches do not fit the input");
  Tensor& out = c.output(0, DType::kFloat, c.input(0).shape());
  float* y = out.mutable_data<float>();
  std::copy_n(x.data, out.size(), y);
  for (int64_t i = 0; i < x.batch * x.length; ++i) {
    const int64_t row = by_position ? positions[static_cast<size_t>(i)] : i;
    if (by_position && (row < 0 || row >= cosines.shape()[0])) c.fail("a position is out of range");
    const float* cosine = cosines.data<float>() + row * half;
    const float* sine = sines.data<float>() + row * half;
    for (int64_t h = 0; h < x.heads; ++h) {
      const float* from = x.head(i / x.length, h) + i % x.length * x.stride();
      float* to = y + (from - x.data);
      for (int64_t k = 0; k < half; ++k) {
        const int64_t a = interleaved ? 2 * k : k, b = interleaved ? 2 * k + 1 : k + half;
        to[a] = cosine[k] * from[a] - sine[k] * from[b];
        to[b] = sine[k] * from[a] + cosine[k] * from[b];
      }
    }
  }
}

Kernel rotary_kernel(const Node&, int) { return rotary; }

}  // namespace

std::span<const OpRow> attention_ops() {
  static constexpr OpRow kRows[] = {
      {"", "Attention", 23, infer_attention, attention_kernel},
      {"", "RotaryEmbedding", 23, infer_rotary, rotary_kernel},
  };
  return kRows;
}

}  // namespace dwindle
