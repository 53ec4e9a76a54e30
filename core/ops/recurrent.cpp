#include "core/ops/recurrent.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>

#include "core/kernels/unary_f32/unary_f32.h"
#include "core/support/error.h"
#include "core/support/threads.h"

namespace dwindle {
namespace {

[[noreturn]] void bad(const Node& node, const std::string& what) {
  throw BadModel(node.op_type + " node '" + node.name + "': " + what);
}

template <typename F>
Activation each(F f) {
  return [f](float* values, int64_t count) {
    for (int64_t i = 0; i < count; ++i) values[i] = f(values[i]);
  };
}

Activation by_kernel(kernels::UnaryFunction function, float alpha = 0) {
  return [=](float* values, int64_t count) {
    kernels::unary_f32(
        {.function = function, .x = values, .count = count, .alpha = alpha, .y = values});
  };
}

// Makes an activation from alpha and beta.
using Maker = Activation (*)(float alpha, float beta);
struct ActivationRow {
  int takes;          // of alpha and beta
  float alpha, beta;  // where the node does not say
  Maker make;
};

const std::map<std::string, ActivationRow>& activation_rows() {
  static const std::map<std::string, ActivationRow> rows = {
      {"relu",
       {0, 0, 0, [](float, float) { return each([](float x) { return std::max(x, 0.0f); }); }}},
      {"tanh", {0, 0, 0, [](float, float) { return by_kernel(kernels::UnaryFunction::kTanh); }}},
      {"sigmoid",
       {0, 0, 0, [](float, float) { return by_kernel(kernels::UnaryFunction::kSigmoid); }}},
      {"affine",
       {2, 1, 0, [](float a, float b) { return each([a, b](float x) { return a * x + b; }); }}},
      {"leakyrelu",
       {1, 0.01f, 0,
        [](float a, float) { return each([a](float x) { return x < 0 ? a * x : x; }); }}},
      {"thresholdedrelu",
       {1, 1, 0, [](float a, float) { return each([a](float x) { return x > a ? x : 0; }); }}},
      {"scaledtanh",
       {2, 1, 1,
        [](float a, float b) { return each([a, b](float x) { return a * std::tanh(b * x); }); }}},
      {"hardsigmoid",
       {2, 0.2f, 0.5f,
        [](float a, float b) {
          return each([a, b](float x) { return std::clamp(a * x + b, 0.0f, 1.0f); });
        }}},
      {"elu",
       {1, 1, 0,
        [](float a, float) {
          return each([a](float x) { return x < 0 ? a * std::expm1(x) : x; });
        }}},
      {"softsign",
       {0, 0, 0,
        [](float, float) { return each([](float x) { return x / (1 + std::fabs(x)); }); }}},
      {"softplus",
       {0, 0, 0,
        [](float, float) { return each([](float x) { return std::log1p(std::exp(x)); }); }}},
  };
  return rows;
}

std::vector<Activation> read_activations(const Node& node, size_t count,
                                         const std::vector<std::string>& defaults) {
  auto names = node.strings_attribute("activations").value_or(std::vector<std::string>());
  while (names.empty() || (names.size() < count && names.size() == defaults.size())) {
    // One direction's worth serves both.
    const std::vector<std::string> more = names.empty() ? defaults : names;
    names.insert(names.end(), more.begin(), more.end());
  }
  if (names.size() < count) bad(node, "there are too few activations");
  const auto alphas = node.floats_attribute("activation_alpha").value_or(std::vector<float>());
  const auto betas = node.floats_attribute("activation_beta").value_or(std::vector<float>());
  // Each is taken by the next activation that has one.
  auto alpha_at = alphas.begin(), beta_at = betas.begin();
  std::vector<Activation> made;
  for (size_t i = 0; i < count; ++i) {
    std::string name = names[i];
    for (char& letter : name) letter = static_cast<char>(std::tolower(letter));
    const auto row = activation_rows().find(name);
    if (row == activation_rows().end()) {
      throw Unsupported(node.op_type + " node '" + node.name + "': activation '" + names[i] +
                        "' is not supported");
    }
    float alpha = row->second.alpha, beta = row->second.beta;
    if (row->second.takes > 0 && alpha_at != alphas.end()) alpha = *alpha_at++;
    if (row->second.takes > 1 && beta_at != betas.end()) beta = *beta_at++;
    made.push_back(row->second.make(alpha, beta));
  }
  return made;
}

// The extents of one run, checked against all inputs.
struct Extents {
  int64_t steps, batch, inputs, hidden;
};

void expect_shape(const KernelContext& c, size_t i, const Dims& shape) {
  if (!c.has_input(i)) return;
  if (c.input(i).shape() != shape) {
    c.fail("input " + std::to_string(i) + " is " + to_string(c.input(i).shape()) + ", not " +
           to_string(shape));
  }
  if (c.input(i).dtype() != DType::kFloat) {
    c.unsupported("an input of " + std::string(dtype_name(c.input(i).dtype())));
  }
}

Extents read_extents(const KernelContext& c, const RecurrentRule& rule) {
  const Dims& x = c.input(0).shape();
  const Dims& r = c.input(2).shape();
  if (x.size() != 3 || r.size() != 3) c.fail("the input and R must have three axes");
  const Extents e = {x[rule.batch_first ? 1 : 0], x[rule.batch_first ? 0 : 1], x[2], r[2]};
  if (c.node().int_attribute("hidden_size", e.hidden) != e.hidden) c.fail("hidden_size differs");
  const int64_t d = rule.directions, rows = rule.gates * e.hidden;
  const Dims state = rule.batch_first ? Dims{e.batch, d, e.hidden} : Dims{d, e.batch, e.hidden};
  expect_shape(c, 0, x);
  expect_shape(c, 1, {d, rows, e.inputs});
  expect_shape(c, 2, {d, rows, e.hidden});
  expect_shape(c, 3, {d, 2 * rows});
  expect_shape(c, 5, state);
  expect_shape(c, 6, state);
  expect_shape(c, 7, {d, 3 * e.hidden});
  return e;
}

std::vector<int64_t> read_lengths(const KernelContext& c, const Extents& e) {
  std::vector<int64_t> lengths(static_cast<size_t>(e.batch), e.steps);
  if (c.has_input(4)) lengths = to_int64s(c.input(4));
  bool fits = static_cast<int64_t>(lengths.size()) == e.batch;
  for (int64_t length : lengths) fits = fits && length >= 0 && length <= e.steps;
  if (!fits) c.fail("sequence_lens do not fit the input");
  return lengths;
}

using Packed = std::shared_ptr<const std::vector<kernels::PackedBF32>>;

// Weights [directions, rows, columns] as they are multiplied: each transposed.
Packed pack(const Tensor& weights) {
  const Dims& s = weights.shape();
  auto packed = std::make_shared<std::vector<kernels::PackedBF32>>();
  for (int64_t d = 0; d < s[0]; ++d) {
    packed->emplace_back(weights.data<float>() + d * s[1] * s[2], s[2], s[1], 1, s[2]);
  }
  return packed;
}

Packed pack_constant(const Node& node, size_t input) {
  const Value* value = node.input(input);
  const Tensor* weights = value == nullptr ? nullptr : value->constant();
  const bool fits = weights != nullptr && weights->dtype() == DType::kFloat && weights->rank() == 3;
  return fits ? pack(*weights) : nullptr;
}

// W and R, of all directions.
struct Weights {
  Packed w, r;

  Weights(const KernelContext& c, const RecurrentRule& rule)
      : w(rule.packed_w ? rule.packed_w : pack(c.input(1))),
        r(rule.packed_r ? rule.packed_r : pack(c.input(2))) {}
};

// One direction's walk through the sequence.
class Walk {
 public:
  Walk(const KernelContext& c, const RecurrentRule& rule, const Extents& e, const Weights& weights,
       int64_t d)
      : c_(c),
        rule_(rule),
        e_(e),
        w_(weights.w->at(static_cast<size_t>(d))),
        d_(d),
        backwards_(rule.reverse || d == 1) {
    const int64_t rows = rule.gates * e.hidden;
    direction_ = {e.steps, e.batch, e.inputs, e.hidden};
    direction_.recurrence = &weights.r->at(static_cast<size_t>(d));
    direction_.activations = rule.activations.data() + static_cast<size_t>(d) * rule.per_direction;
    direction_.clip = rule.clip;
    if (c.has_input(3)) {
      direction_.bias_w = c.input(3).data<float>() + d * 2 * rows;
      direction_.bias_r = direction_.bias_w + rows;
    }
    if (c.has_input(7)) direction_.peepholes = c.input(7).data<float>() + d * 3 * e.hidden;
    const auto size = static_cast<size_t>(e.batch * e.hidden);
    h_ = initial_state(5);
    cell_ = initial_state(6);
    next_h_.resize(size);
    next_cell_.resize(size);
  }

  void run(const std::vector<int64_t>& lengths, const CellStep& step, float* y) {
    const int64_t rows = rule_.gates * e_.hidden;
    std::vector<float> gates(static_cast<size_t>(e_.steps * e_.batch * rows));
    kernels::GemmF32 gemm;
    gemm.m = e_.steps * e_.batch;
    gemm.n = rows;
    gemm.k = e_.inputs;
    gemm.a = c_.input(0).data<float>();
    gemm.a_row_stride = e_.inputs;
    gemm.packed_b = &w_;
    gemm.c = gates.data();
    gemm.ldc = rows;
    kernels::gemm_f32(gemm);
    std::vector<float> now(static_cast<size_t>(e_.batch * rows));
    for (int64_t s = 0; s < e_.steps; ++s) {
      for (int64_t b = 0; b < e_.batch; ++b) {
        const int64_t row = rule_.batch_first ? b * e_.steps + time(s, b, lengths)
                                              : time(s, b, lengths) * e_.batch + b;
        std::copy_n(gates.data() + row * rows, rows, now.data() + b * rows);
      }
      next_h_ = h_;
      next_cell_ = cell_;
      step(direction_, now.data(), next_h_.data(), next_cell_.data());
      take(s, lengths, y);
    }
  }

  // A final state, [batch, hidden], to output i.
  void write_state(const std::vector<float>& state, float* to) const {
    for (int64_t b = 0; b < e_.batch; ++b) {
      const int64_t row = rule_.batch_first ? b * rule_.directions + d_ : d_ * e_.batch + b;
      std::copy_n(state.data() + b * e_.hidden, e_.hidden, to + row * e_.hidden);
    }
  }
  const std::vector<float>& h() const { return h_; }
  const std::vector<float>& cell() const { return cell_; }

 private:
  // The time that step s looks at in batch b. Backwards, a sequence begins at its own end.
  int64_t time(int64_t s, int64_t b, const std::vector<int64_t>& lengths) const {
    const int64_t length = lengths[static_cast<size_t>(b)];
    return backwards_ && s < length ? length - 1 - s : s;
  }

  // Keeps the new states of the sequences that have not ended, and writes Y, 0 behind the end.
  void take(int64_t s, const std::vector<int64_t>& lengths, float* y) {
    for (int64_t b = 0; b < e_.batch; ++b) {
      const bool live = s < lengths[static_cast<size_t>(b)];
      const int64_t at = b * e_.hidden;
      if (live) {
        std::copy_n(next_h_.data() + at, e_.hidden, h_.data() + at);
        std::copy_n(next_cell_.data() + at, e_.hidden, cell_.data() + at);
      }
      if (y == nullptr) continue;
      const int64_t t = time(s, b, lengths);
      const int64_t row = rule_.batch_first ? (b * e_.steps + t) * rule_.directions + d_
                                            : (t * rule_.directions + d_) * e_.batch + b;
      if (live) {
        std::copy_n(h_.data() + at, e_.hidden, y + row * e_.hidden);
      } else {
        std::fill_n(y + row * e_.hidden, e_.hidden, 0.0f);
      }
    }
  }

  std::vector<float> initial_state(size_t i) const {
    std::vector<float> state(static_cast<size_t>(e_.batch * e_.hidden), 0.0f);
    if (!c_.has_input(i)) return state;
    for (int64_t b = 0; b < e_.batch; ++b) {
      const int64_t row = rule_.batch_first ? b * rule_.directions + d_ : d_ * e_.batch + b;
      std::copy_n(c_.input(i).data<float>() + row * e_.hidden, e_.hidden,
                  state.data() + b * e_.hidden);
    }
    return state;
  }

  const KernelContext& c_;
  const RecurrentRule& rule_;
  const Extents e_;
  const kernels::PackedBF32& w_;
  const int64_t d_;
  const bool backwards_;
  Direction direction_;
  std::vector<float> h_, cell_, next_h_, next_cell_;
};

}  // namespace

RecurrentRule read_recurrent(const Node& node, int opset, int64_t gates,
                             const std::vector<std::string>& defaults) {
  RecurrentRule rule;
  rule.gates = gates;
  const std::string direction = node.string_attribute("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional") {
    bad(node, "direction '" + direction + "' is not known");
  }
  rule.directions = direction == "bidirectional" ? 2 : 1;
  rule.reverse = direction == "reverse";
  rule.batch_first = opset >= 14 && node.int_attribute("layout", 0) != 0;
  rule.clip = node.float_attribute("clip", 0);
  if (!(rule.clip >= 0)) bad(node, "clip is negative");
  rule.per_direction = defaults.size();
  rule.packed_w = pack_constant(node, 1);
  rule.packed_r = pack_constant(node, 2);
  rule.activations =
      read_activations(node, defaults.size() * static_cast<size_t>(rule.directions), defaults);
  return rule;
}

void infer_recurrent(InferContext& c) {
  const auto &x = c.shape(0), &r = c.shape(2);
  const bool both = c.node().string_attribute("direction", "forward") == "bidirectional";
  const bool batch_first = c.opset() >= 14 && c.node().int_attribute("layout", 0) != 0;
  const Dim directions(both ? 2 : 1);
  Dim hidden, steps, batch;
  if (r && r->size() == 3) hidden = (*r)[2];
  if (x && x->size() != 3) c.fail("the input must have three axes");
  if (x) steps = (*x)[batch_first ? 1 : 0];
  if (x) batch = (*x)[batch_first ? 0 : 1];
  const Shape state =
      batch_first ? Shape{batch, directions, hidden} : Shape{directions, batch, hidden};
  c.set_output(0, c.dtype(0),
               batch_first ? Shape{batch, steps, directions, hidden}
                           : Shape{steps, directions, batch, hidden});
  c.set_output(1, c.dtype(0), state);
  c.set_output(2, c.dtype(0), state);
}

void clip_values(float* values, int64_t count, float clip) {
  if (clip == 0) return;
  for (int64_t i = 0; i < count; ++i) values[i] = std::clamp(values[i], -clip, clip);
}

void add_recurrence(const Direction& direction, const float* h, float* to) {
  kernels::GemmF32 gemm;
  gemm.m = direction.batch;
  gemm.n = direction.recurrence->n();
  gemm.k = direction.hidden;
  gemm.a = h;
  gemm.a_row_stride = direction.hidden;
  gemm.packed_b = direction.recurrence;
  gemm.c = to;
  gemm.ldc = gemm.n;
  gemm.accumulate = true;
  kernels::gemm_f32(gemm);
}

void run_recurrent(KernelContext& c, const RecurrentRule& rule, const CellStep& step) {
  const Extents e = read_extents(c, rule);
  const std::vector<int64_t> lengths = read_lengths(c, e);
  const int64_t d = rule.directions;
  const Dims state = rule.batch_first ? Dims{e.batch, d, e.hidden} : Dims{d, e.batch, e.hidden};
  float* outputs[3] = {};
  for (size_t i = 0; i < 3; ++i) {
    if (!c.wants_output(i)) continue;
    const Dims all = rule.batch_first ? Dims{e.batch, e.steps, d, e.hidden}
                                      : Dims{e.steps, d, e.batch, e.hidden};
    outputs[i] = c.output(i, DType::kFloat, i == 0 ? all : state).mutable_data<float>();
  }
  const Weights weights(c, rule);
  parallel_for(d, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Walk walk(c, rule, e, weights, i);
      walk.run(lengths, step, outputs[0]);
      if (outputs[1] != nullptr) walk.write_state(walk.h(), outputs[1]);
      if (outputs[2] != nullptr) walk.write_state(walk.cell(), outputs[2]);
    }
  });
}

}  // namespace dwindle
