// The families that make up the operator table: one function and one .cpp each.
#pragma once

#include <span>

#include "core/ops/op.h"

namespace dwindle {

std::span<const OpRow> activation_ops();  // activations of one element
std::span<const OpRow> arg_reduce_ops();  // ArgMax, ArgMin, CumSum, CumProd
std::span<const OpRow> arithmetic_ops();  // Add, Sub, Mul, Div, Mod, PRelu, Min, Max, Sum, Mean
std::span<const OpRow> attention_ops();
std::span<const OpRow> batch_norm_ops();  // BatchNormalization, InstanceNormalization
std::span<const OpRow> cast_ops();        // Cast, CastLike, BitCast
std::span<const OpRow> constant_ops();    // Constant, Identity, Shape, Size, random numbers, …
std::span<const OpRow> control_ops();     // If, Loop, Scan, SequenceMap
std::span<const OpRow> conv_ops();
std::span<const OpRow> conv_transpose_ops();
std::span<const OpRow> deform_conv_ops();
std::span<const OpRow> dequantize_linear_ops();  // DequantizeLinear
std::span<const OpRow> detect_ops();             // NonMaxSuppression, RoiAlign, MaxRoiPool
std::span<const OpRow> gather_ops();
std::span<const OpRow> generate_ops();  // Range, OneHot, EyeLike, Trilu
std::span<const OpRow> global_pool_ops();
std::span<const OpRow> grid_ops();            // AffineGrid, GridSample
std::span<const OpRow> image_ops();           // Col2Im, CenterCropPad
std::span<const OpRow> join_ops();            // Concat, Split, Expand, Tile
std::span<const OpRow> logic_ops();           // comparison, Where, bits
std::span<const OpRow> matmul_ops();          // MatMul, Gemm
std::span<const OpRow> einsum_ops();          // Einsum, Det
std::span<const OpRow> integer_conv_ops();    // ConvInteger, QLinearConv
std::span<const OpRow> integer_matmul_ops();  // MatMulInteger, QLinearMatMul
std::span<const OpRow>
layer_norm_ops();  // LayerNormalization, RMSNormalization, GroupNormalization
std::span<const OpRow> linear_attention_ops();  // LinearAttention, CausalConvWithState
std::span<const OpRow> local_norm_ops();        // LpNormalization, MeanVarianceNormalization, LRN
std::span<const OpRow> optional_ops();          // Optional, OptionalHasElement, OptionalGetElement
std::span<const OpRow> pad_ops();
std::span<const OpRow> pool_ops();
std::span<const OpRow> pow_ops();              // Pow
std::span<const OpRow> quantize_linear_ops();  // QuantizeLinear, DynamicQuantizeLinear
std::span<const OpRow> random_ops();           // RandomNormal, RandomUniform, and like a tensor
std::span<const OpRow> reduce_ops();           // ReduceSum, ReduceMean, …
std::span<const OpRow> reshape_ops();          // Reshape, Flatten, Squeeze, Unsqueeze
std::span<const OpRow> resize_ops();
std::span<const OpRow> rnn_ops();  // RNN, LSTM, GRU
std::span<const OpRow> scatter_ops();
std::span<const OpRow> select_ops();    // NonZero, Compress, ReverseSequence, TopK, Unique
std::span<const OpRow> sequence_ops();  // SequenceConstruct, SequenceAt, SplitToSequence, …
std::span<const OpRow> signal_ops();    // windows, DFT, STFT, MelWeightMatrix
std::span<const OpRow> slice_ops();
std::span<const OpRow> softmax_ops();     // Softmax, LogSoftmax, Hardmax
std::span<const OpRow> transpose_ops();   // Transpose, DepthToSpace, SpaceToDepth
std::span<const OpRow> unary_math_ops();  // Exp, Sqrt, Sin, …, IsNaN, IsInf, Clip

}  // namespace dwindle
