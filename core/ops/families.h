// The families that make up the operator table: one function and one .cpp each.
#pragma once

#include <span>

#include "core/ops/op.h"

namespace dwindle {

std::span<const OpRow> constant_ops();  // Constant, Identity, Shape, Size, random numbers, …
std::span<const OpRow> control_ops();  // If, Loop, Scan
std::span<const OpRow> conv_ops();
std::span<const OpRow> gather_ops();
std::span<const OpRow> generate_ops();  // Range, OneHot, EyeLike, Trilu
std::span<const OpRow> global_pool_ops();
std::span<const OpRow> join_ops();  // Concat, Split, Expand, Tile
std::span<const OpRow> pad_ops();
std::span<const OpRow> pool_ops();
std::span<const OpRow> reshape_ops();  // Reshape, Flatten, Squeeze, Unsqueeze
std::span<const OpRow> resize_ops();
std::span<const OpRow> scatter_ops();
std::span<const OpRow> select_ops();  // NonZero, Compress, ReverseSequence, TopK, Unique
std::span<const OpRow> slice_ops();
std::span<const OpRow> transpose_ops();  // Transpose, DepthToSpace, SpaceToDepth

}  // namespace dwindle
