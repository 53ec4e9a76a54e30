// The recurrent operators: RNN, GRU, LSTM. Names follow the equations of ONNX's operators page.
#include <algorithm>
#include <vector>

#include "core/ops/families.h"
#include "core/ops/recurrent.h"

namespace dwindle {
namespace {

// gates[b, j] += bias[j] for j in [begin, end) of `rows`.
void add_bias(float* gates, const float* bias, int64_t batch, int64_t rows, int64_t begin,
              int64_t end) {
  if (bias == nullptr) return;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t j = begin; j < end; ++j) gates[b * rows + j] += bias[j];
  }
}

void activate(const Direction& d, size_t which, float* values, int64_t count) {
  clip_values(values, count, d.clip);
  d.activations[which](values, count);
}

// ---- RNN ---------------------------------------------------------------------------------------

// Ht = f(Xt · W^T + Ht-1 · R^T + Wb + Rb)
void rnn_step(const Direction& d, float* gates, float* h, float*) {
  add_recurrence(d, h, gates);
  add_bias(gates, d.bias_w, d.batch, d.hidden, 0, d.hidden);
  add_bias(gates, d.bias_r, d.batch, d.hidden, 0, d.hidden);
  activate(d, 0, gates, d.batch * d.hidden);
  std::copy_n(gates, d.batch * d.hidden, h);
}

Kernel rnn_kernel(const Node& node, int opset) {
  return [rule = read_recurrent(node, opset, 1, {"Tanh"})](KernelContext& c) {
    run_recurrent(c, rule, rnn_step);
  };
}

// ---- GRU ---------------------------------------------------------------------------------------

// zt, rt = f(…), then the candidate ht = g(…) with the reset gate before or behind the product, and
// Ht = (1 - zt) ∘ ht + zt ∘ Ht-1.
void gru_step(const Direction& d, bool linear_before_reset, float* gates, float* h) {
  const int64_t n = d.hidden, rows = 3 * n;
  std::vector<float> from_h(static_cast<size_t>(d.batch * rows), 0.0f);
  add_recurrence(d, h, from_h.data());
  add_bias(from_h.data(), d.bias_r, d.batch, rows, 0, rows);
  add_bias(gates, d.bias_w, d.batch, rows, 0, rows);
  std::vector<float> reset_h(linear_before_reset ? 0 : static_cast<size_t>(d.batch * n));
  for (int64_t b = 0; b < d.batch; ++b) {
    float* row = gates + b * rows;
    const float* other = from_h.data() + b * rows;
    for (int64_t j = 0; j < 2 * n; ++j) row[j] += other[j];
    activate(d, 0, row, 2 * n);
    for (int64_t j = 0; j < n; ++j) {
      if (linear_before_reset) {
        row[2 * n + j] += row[n + j] * other[2 * n + j];
      } else {
        reset_h[static_cast<size_t>(b * n + j)] = row[n + j] * h[b * n + j];
      }
    }
  }
  if (!linear_before_reset) {
    std::fill(from_h.begin(), from_h.end(), 0.0f);
    add_recurrence(d, reset_h.data(), from_h.data());
    add_bias(from_h.data(), d.bias_r, d.batch, rows, 2 * n, rows);
  }
  for (int64_t b = 0; b < d.batch; ++b) {
    float* row = gates + b * rows;
    float* candidate = row + 2 * n;
    if (!linear_before_reset) {
      for (int64_t j = 0; j < n; ++j) {
        candidate[j] += from_h[static_cast<size_t>(b * rows + 2 * n + j)];
      }
    }
    activate(d, 1, candidate, n);
    for (int64_t j = 0; j < n; ++j) {
      h[b * n + j] = (1 - row[j]) * candidate[j] + row[j] * h[b * n + j];
    }
  }
}

Kernel gru_kernel(const Node& node, int opset) {
  const bool linear = node.int_attribute("linear_before_reset", 0) != 0;
  return [rule = read_recurrent(node, opset, 3, {"Sigmoid", "Tanh"}), linear](KernelContext& c) {
    run_recurrent(c, rule, [linear](const Direction& d, float* gates, float* h, float*) {
      gru_step(d, linear, gates, h);
    });
  };
}

// ---- LSTM --------------------------------------------------------------------------------------

void lstm_row(const Direction& d, bool input_forget, float* row, float* h, float* cell) {
  const int64_t n = d.hidden;
  float *input = row, *output = row + n, *forget = row + 2 * n, *candidate = row + 3 * n;
  const float* p = d.peepholes;
  for (int64_t j = 0; p != nullptr && j < n; ++j) {
    input[j] += p[j] * cell[j];
    forget[j] += p[2 * n + j] * cell[j];
  }
  activate(d, 0, input, n);
  if (input_forget) {
    for (int64_t j = 0; j < n; ++j) forget[j] = 1 - input[j];
  } else {
    activate(d, 0, forget, n);
  }
  activate(d, 1, candidate, n);
  for (int64_t j = 0; j < n; ++j) cell[j] = forget[j] * cell[j] + input[j] * candidate[j];
  for (int64_t j = 0; p != nullptr && j < n; ++j) output[j] += p[n + j] * cell[j];
  activate(d, 0, output, n);
  std::copy_n(cell, n, h);
  d.activations[2](h, n);
  for (int64_t j = 0; j < n; ++j) h[j] *= output[j];
}

Kernel lstm_kernel(const Node& node, int opset) {
  const bool input_forget = node.int_attribute("input_forget", 0) != 0;
  return [rule = read_recurrent(node, opset, 4, {"Sigmoid", "Tanh", "Tanh"}),
          input_forget](KernelContext& c) {
    run_recurrent(c, rule, [&](const Direction& d, float* gates, float* h, float* cell) {
      const int64_t rows = 4 * d.hidden;
      add_recurrence(d, h, gates);
      add_bias(gates, d.bias_w, d.batch, rows, 0, rows);
      add_bias(gates, d.bias_r, d.batch, rows, 0, rows);
      for (int64_t b = 0; b < d.batch; ++b) {
        lstm_row(d, input_forget, gates + b * rows, h + b * d.hidden, cell + b * d.hidden);
      }
    });
  };
}

constexpr uint32_t kWeights = 1u << 1 | 1u << 2 | 1u << 3;

}  // namespace

std::span<const OpRow> rnn_ops() {
  static constexpr OpRow kRows[] = {
      {"", "RNN", 7, infer_recurrent, rnn_kernel, kWeights},
      {"", "GRU", 7, infer_recurrent, gru_kernel, kWeights},
      {"", "LSTM", 7, infer_recurrent, lstm_kernel, kWeights},
  };
  return kRows;
}

}  // namespace dwindle
