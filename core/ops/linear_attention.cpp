// LinearAttention and CausalConvWithState: layers that carry a state from token to token.
//
// Source: the specifications of LinearAttention-27 and CausalConvWithState-27 (ONNX); the delta
// rule is that of Yang et al., "Gated Delta Networks" (2025).
#include <algorithm>
#include <cmath>

#include "core/kernels/vector_math.h"
#include "core/ops/families.h"
#include "core/support/threads.h"

namespace dwindle {
namespace {

void require_floats(const KernelContext& c) {
  for (size_t i = 0; i < c.num_inputs(); ++i) {
    if (c.has_input(i) && c.input(i).dtype() != DType::kFloat) {
      c.unsupported(std::string(dtype_name(c.input(i).dtype())));
    }
  }
}

// ---- LinearAttention ---------------------------------------------------------------------------

enum Input : size_t { kQuery, kKey, kValue, kPastState, kDecay, kBeta };

Dim over(const Dim& dim, int64_t count) {
  return dim.known() && count > 0 ? Dim(dim.extent / count) : Dim();
}

void infer_linear_attention(InferContext& c) {
  const auto &query = c.shape(kQuery), &value = c.shape(kValue);
  const int64_t q_heads = c.node().int_attribute("q_num_heads", 0);
  const int64_t kv_heads = c.node().int_attribute("kv_num_heads", 0);
  if (!query || !value || query->size() != 3 || value->size() != 3) {
    c.set_output(0, c.dtype(0));
    return c.set_output(1, c.dtype(0));
  }
  const Dim keys = over((*query)[2], q_heads), values = over((*value)[2], kv_heads);
  const Dim width = values.known() ? Dim(values.extent * q_heads) : Dim();
  c.set_output(0, c.dtype(0), Shape{(*query)[0], (*query)[1], width});
  c.set_output(1, c.dtype(0), Shape{(*query)[0], Dim(kv_heads), keys, values});
}

struct LinearAttention {
  int64_t batch, tokens, q_heads, kv_heads, keys, values;
  bool gated, delta;
  bool decay_a_key = false;  // else one a head
  bool beta_a_head = false;  // else one for all
  float scale;

  explicit LinearAttention(KernelContext& c)
      : q_heads(c.node().int_attribute("q_num_heads", 0)),
        kv_heads(c.node().int_attribute("kv_num_heads", 0)) {
    const Dims &q = c.input(kQuery).shape(), &k = c.input(kKey).shape(),
               &v = c.input(kValue).shape();
    const std::string rule = c.node().string_attribute("update_rule", "gated_delta");
    gated = rule == "gated" || rule == "gated_delta";
    delta = rule == "delta" || rule == "gated_delta";
    if (!gated && !delta && rule != "linear") c.fail("there is no update_rule '" + rule + "'");
    if (q_heads < 1 || kv_heads < 1 || q_heads % kv_heads != 0 || q.size() != 3 || k.size() != 3 ||
        v.size() != 3 || q[2] % q_heads != 0 || v[2] % kv_heads != 0) {
      c.fail("the shapes and the numbers of heads do not fit");
    }
    batch = q[0];
    tokens = q[1];
    keys = q[2] / q_heads;
    values = v[2] / kv_heads;
    if (k != Dims{batch, tokens, kv_heads * keys} || v[0] != batch || v[1] != tokens) {
      c.fail("queries, keys and values do not fit");
    }
    if (c.has_input(kPastState) && c.input(kPastState).shape() != state_shape()) {
      c.fail("past_state does not fit");
    }
    if (gated) {
      if (!c.has_input(kDecay)) c.fail("update_rule " + rule + " wants decay");
      const Dims& decay = c.input(kDecay).shape();
      decay_a_key = decay == k && keys > 1;
      if (!decay_a_key && decay != Dims{batch, tokens, kv_heads}) c.fail("decay does not fit");
    }
    if (delta) {
      if (!c.has_input(kBeta)) c.fail("update_rule " + rule + " wants beta");
      const Dims& beta = c.input(kBeta).shape();
      beta_a_head = beta == Dims{batch, tokens, kv_heads};
      if (!beta_a_head && beta != Dims{batch, tokens, 1}) c.fail("beta does not fit");
    }
    scale = c.node().float_attribute("scale", 0.0f);
    if (scale == 0) scale = 1 / std::sqrt(static_cast<float>(keys));
  }

  Dims state_shape() const { return {batch, kv_heads, keys, values}; }

  // Token by token, for one head of keys and the heads of queries that share it. `state` is
  // [keys, values].
  void run_head(const KernelContext& c, int64_t n, int64_t head, float* state, float* out) const {
    std::vector<float> update(static_cast<size_t>(values));
    const int64_t shared = q_heads / kv_heads;
    for (int64_t t = 0; t < tokens; ++t) {
      const int64_t token = n * tokens + t, at = token * kv_heads + head;
      const float* key = c.input(kKey).data<float>() + at * keys;
      const float* value = c.input(kValue).data<float>() + at * values;
      if (gated) {
        const float* decay = c.input(kDecay).data<float>() + (decay_a_key ? at * keys : at);
        for (int64_t i = 0; i < keys; ++i) {
          const float kept = std::exp(decay[decay_a_key ? i : 0]);
          for (int64_t j = 0; j < values; ++j) state[i * values + j] *= kept;
        }
      }
      std::copy_n(value, values, update.begin());
      if (delta) {
        const float beta = c.input(kBeta).data<float>()[beta_a_head ? at : token];
        for (int64_t j = 0; j < values; ++j) {
          float recalled = 0;
          for (int64_t i = 0; i < keys; ++i) recalled += key[i] * state[i * values + j];
          update[static_cast<size_t>(j)] = beta * (value[j] - recalled);
        }
      }
      for (int64_t i = 0; i < keys; ++i) {
        for (int64_t j = 0; j < values; ++j) {
          state[i * values + j] += key[i] * update[static_cast<size_t>(j)];
        }
      }
      for (int64_t s = 0; s < shared; ++s) {
        const int64_t row = token * q_heads + head * shared + s;
        const float* query = c.input(kQuery).data<float>() + row * keys;
        float* to = out + row * values;
        std::fill_n(to, values, 0.0f);
        for (int64_t i = 0; i < keys; ++i) {
          for (int64_t j = 0; j < values; ++j) to[j] += scale * query[i] * state[i * values + j];
        }
      }
    }
  }
};

void linear_attention(KernelContext& c) {
  require_floats(c);
  const LinearAttention a(c);
  float* out =
      c.output(0, DType::kFloat, {a.batch, a.tokens, a.q_heads * a.values}).mutable_data<float>();
  Tensor state = Tensor::zeros(DType::kFloat, a.state_shape());
  float* states = state.mutable_data<float>();
  if (c.has_input(kPastState)) {
    std::copy_n(c.input(kPastState).data<float>(), state.size(), states);
  }
  parallel_for(a.batch * a.kv_heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      a.run_head(c, i / a.kv_heads, i % a.kv_heads, states + i * a.keys * a.values, out);
    }
  });
  if (c.wants_output(1)) c.set_output(1, std::move(state));
}

Kernel linear_attention_kernel(const Node&, int) { return linear_attention; }

// ---- CausalConvWithState -----------------------------------------------------------------------

void infer_causal_conv(InferContext& c) {
  const auto &x = c.shape(0), &w = c.shape(1);
  if (!x || x->size() != 3) {
    c.set_output(0, c.dtype(0));
    return c.set_output(1, c.dtype(0));
  }
  c.set_output(0, c.dtype(0), *x);
  const bool known = w && w->size() == 3 && (*w)[2].known();
  c.set_output(1, c.dtype(0), Shape{(*x)[0], (*x)[1], known ? Dim((*w)[2].extent - 1) : Dim()});
}

void causal_conv(KernelContext& c) {
  require_floats(c);
  const Dims &x = c.input(0).shape(), &w = c.input(1).shape();
  if (x.size() != 3 || w.size() != 3 || w[0] != x[1] || w[1] != 1 || w[2] < 1) {
    c.fail("the input and the weights do not fit");
  }
  const int64_t channels = x[1], length = x[2], past = w[2] - 1;
  const Dims state = {x[0], channels, past};
  if (c.has_input(2) && c.input(2).shape() != Dims{channels}) {
    c.fail("the bias must have one number a channel");
  }
  if (c.has_input(3) && c.input(3).shape() != state) c.fail("past_state does not fit");
  const std::string activation = c.node().string_attribute("activation", "none");
  const bool swish = activation == "silu" || activation == "swish";
  if (!swish && activation != "none") c.fail("there is no activation '" + activation + "'");
  float* y = c.output(0, DType::kFloat, x).mutable_data<float>();
  Tensor present = Tensor::allocate(DType::kFloat, state);
  float* kept = present.mutable_data<float>();
  parallel_for(x[0] * channels, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> row(static_cast<size_t>(past + length), 0.0f);
    for (int64_t i = begin; i < end; ++i) {
      if (c.has_input(3)) std::copy_n(c.input(3).data<float>() + i * past, past, row.begin());
      std::copy_n(c.input(0).data<float>() + i * length, length, row.begin() + past);
      const float* taps = c.input(1).data<float>() + i % channels * w[2];
      const float bias = c.has_input(2) ? c.input(2).data<float>()[i % channels] : 0.0f;
      for (int64_t t = 0; t < length; ++t) {
        float sum = bias;
        for (int64_t k = 0; k < w[2]; ++k) sum += taps[k] * row[static_cast<size_t>(t + k)];
        y[i * length + t] = swish ? fast_swish(sum, 1.0f) : sum;
      }
      std::copy_n(row.end() - past, past, kept + i * past);
    }
  });
  if (c.wants_output(1)) c.set_output(1, std::move(present));
}

Kernel causal_conv_kernel(const Node&, int) { return causal_conv; }

}  // namespace

std::span<const OpRow> linear_attention_ops() {
  static constexpr OpRow kRows[] = {
      {"", "LinearAttention", 27, infer_linear_attention, linear_attention_kernel},
      {"", "CausalConvWithState", 27, infer_causal_conv, causal_conv_kernel, 1u << 1 | 1u << 2},
  };
  return kRows;
}

}  // namespace dwindle
