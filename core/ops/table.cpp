#include <algorithm>
#include <array>
#include <unordered_map>

#include "core/ops/families.h"

namespace dwindle {

std::span<const std::span<const OpRow>> op_families() {
  // clang-format off: one a line, so that changes of two people meet in few of them
  static const std::array families = {
      activation_ops(),
      arg_reduce_ops(),
      arithmetic_ops(),
      attention_ops(),
      batch_norm_ops(),
      cast_ops(),
      constant_ops(),
      control_ops(),
      conv_ops(),
      conv_transpose_ops(),
      deform_conv_ops(),
      linear_attention_ops(),
      optional_ops(),
      dequantize_linear_ops(),
      detect_ops(),
      einsum_ops(),
      gather_ops(),
      generate_ops(),
      global_pool_ops(),
      grid_ops(),
      image_ops(),
      integer_conv_ops(),
      integer_matmul_ops(),
      join_ops(),
      layer_norm_ops(),
      local_norm_ops(),
      logic_ops(),
      matmul_ops(),
      pad_ops(),
      pool_ops(),
      pow_ops(),
      quantize_linear_ops(),
      random_ops(),
      reduce_ops(),
      reshape_ops(),
      resize_ops(),
      rnn_ops(),
      scatter_ops(),
      select_ops(),
      sequence_ops(),
      signal_ops(),
      slice_ops(),
      softmax_ops(),
      transpose_ops(),
      unary_math_ops(),
  };
  // clang-format on
  return families;
}

const OpRow* find_op(std::string_view domain, std::string_view type, int opset) {
  // Keyed by type alone: few domains share names, and those that do are told apart below.
  static const auto index = [] {
    std::unordered_multimap<std::string_view, const OpRow*> rows;
    for (std::span<const OpRow> family : op_families()) {
      for (const OpRow& row : family) rows.emplace(row.type, &row);
    }
    return rows;
  }();
  const OpRow* best = nullptr;
  auto [begin, end] = index.equal_range(type);
  for (auto it = begin; it != end; ++it) {
    const OpRow* row = it->second;
    if (row->domain != domain || row->since > opset) continue;
    if (best == nullptr || row->since > best->since) best = row;
  }
  return best;
}

}  // namespace dwindle
