// What an Attention node lets each query see, as tensors.
#pragma once

#include "passes/convert/node_writer.h"

namespace dwindle::passes {

// Inputs of Attention.
enum AttentionInput : size_t { kQ, kK, kV, kMask, kPastKey, kPastValue, kValidKeys };

// Extents of the scores [batch, heads, queries, keys].
struct AttentionScores {
  NodeWriter::Axis queries, keys;
  NodeWriter::Axis past;  // keys that come before those of the queries
};

// Both broadcast to the scores.
struct AttentionMask {
  // float32, added to the scores; -inf where a key is hidden. Null: all keys are seen.
  Value* bias = nullptr;
  // Bool, with one key: whether a query sees any; the output of one that does not is 0. Null: all
  // do.
  Value* seen = nullptr;
};

// Why the mask of `node` cannot be written with other ops, or empty.
std::string mask_obstacle(const Node& node);

// Whether `node`, of version `opset`, hides any key.
bool has_mask(const Node& node, int opset);

// Writes attn_mask, is_causal, the windows of version 25 and nonpad_kv_seqlen.
AttentionMask write_attention_mask(const Node& node, int opset, const AttentionScores& scores,
                                   NodeWriter& writer);

}  // namespace dwindle::passes
