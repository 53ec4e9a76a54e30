// What RNN, GRU and LSTM share: their inputs, directions, sequences of unequal length, activations.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/kernels/gemm_f32/gemm_f32.h"
#include "core/ops/op.h"

namespace dwindle {

// An activation function of ONNX's recurrent operators, applied in place.
using Activation = std::function<void(float* values, int64_t count)>;

// The attributes of a recurrent node of `gates` gates.
struct RecurrentRule {
  int64_t gates = 1;
  int64_t directions = 1;  // 2: forwards and backwards
  bool reverse = false;    // the only direction is backwards
  bool batch_first = false;
  float clip = 0;                       // 0: none
  std::vector<Activation> activations;  // `per_direction` for each
  size_t per_direction = 1;
  // W and R, packed once where they are constants: one of each a direction. Null: pack every run.
  std::shared_ptr<const std::vector<kernels::PackedBF32>> packed_w, packed_r;
};

// `defaults` are the activations of one direction. Raises BadModel for impossible attributes,
// Unsupported for an unknown activation.
RecurrentRule read_recurrent(const Node& node, int opset, int64_t gates,
                             const std::vector<std::string>& defaults);

// Infers Y, Y_h and, for LSTM, Y_c.
void infer_recurrent(InferContext& c);

// One direction of one run.
struct Direction {
  int64_t steps = 0, batch = 0, inputs = 0, hidden = 0;
  const float* bias_w = nullptr;  // [gates * hidden] or null
  const float* bias_r = nullptr;
  const float* peepholes = nullptr;                 // [3 * hidden] or null
  const kernels::PackedBF32* recurrence = nullptr;  // [hidden, gates * hidden]
  const Activation* activations = nullptr;
  float clip = 0;
};

// Computes one step of a cell: `gates` holds x · W^T, [batch, gates * hidden], and may be written
// over; `h` and `c` (null but for LSTM) are the states before, [batch, hidden], and are replaced.
using CellStep = std::function<void(const Direction&, float* gates, float* h, float* c)>;

// Runs all directions and writes the outputs.
void run_recurrent(KernelContext& context, const RecurrentRule& rule, const CellStep& step);

// values = clamp(values, -clip, clip), where clip is not 0.
void clip_values(float* values, int64_t count, float clip);

// to[b, j] += sum over l of h[b, l] * R[l, j], for the columns of all gates.
void add_recurrence(const Direction& direction, const float* h, float* to);

}  // namespace dwindle
