#include "passes/registry.h"

#include <vector>

#include "core/support/error.h"
#include "core/support/nearest.h"
#include "passes/convert/passes.h"
#include "passes/quantize/passes.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

constexpr int64_t kFoldingCap = 1 << 20;

const std::vector<PassRow>& rows() {
  static const std::vector<PassRow> rows = {
      {"inline-functions",
       "Put the bodies of local functions where they are called",
       {},
       make_inline_functions},
      {"drop-weight-inputs",
       "Make weights that are listed as graph inputs constants",
       {{"all",
         false,
         "also in models of IR version 4 and up, where a caller may override them",
         {}}},
       make_drop_weight_inputs},
      {"infer-shapes",
       "Write down the types of all values as far as they can be known",
       {},
       make_infer_shapes},
      {"lift-constants", "Turn Constant nodes into initializers", {}, make_lift_constants},
      {"capture-loop-invariants",
       "Let the body of a Loop read from outside what it is handed unchanged at every turn",
       {},
       make_capture_loop_invariants},
      {"fold-constants",
       "Compute now what does not depend on the inputs, shapes included",
       {{"size-cap",
         kFoldingCap,
         "bytes that folding may add to the model in all",
         {},
         {.least = 0}},
        {"growth-cap",
         0.25,
         "the same as a share of what the constants take, where that is more than 16 KB; beyond "
         "it, tables stay computed",
         {},
         {.least = 0}}},
       make_fold_constants},
      {"fold-batch-norm",
       "Fold BatchNormalization into the Conv, ConvTranspose, Gemm or MatMul beside it",
       {},
       make_fold_batch_norm},
      {"fold-affine",
       "Fold constant Mul, Div, Add and Sub into the layer before them",
       {},
       make_fold_affine},
      {"fuse-matmul-add", "Make Gemm of MatMul and Add on matrices", {}, make_fuse_matmul_add},
      {"merge-pad", "Merge Pad into the Conv or pool behind it", {}, make_merge_pad},
      {"merge-clips", "Merge Relu and Clip in a row", {}, make_merge_clips},
      {"drop-identities", "Drop Identity, and Dropout of inference", {}, make_drop_identities},
      {"drop-noop-reshapes",
       "Drop and merge Reshape, Flatten, Squeeze and Unsqueeze",
       {},
       make_drop_noop_reshapes},
      {"drop-noop-transposes", "Drop and merge Transpose", {}, make_drop_noop_transposes},
      {"drop-noop-casts", "Drop and merge Cast where no value changes", {}, make_drop_noop_casts},
      {"drop-noop-moves",
       "Drop Slice, Pad, Expand, Tile, Concat and Split of a whole tensor",
       {},
       make_drop_noop_moves},
      {"drop-noop-arithmetic",
       "Drop Add of 0, Mul by 1 and the like",
       {},
       make_drop_noop_arithmetic},
      {"merge-equal-initializers",
       "Keep one of several equal constants",
       {},
       make_merge_equal_initializers},
      {"merge-common-subexpressions",
       "Compute once what is computed twice",
       {},
       make_merge_common_subexpressions},
      {"drop-dead-code",
       "Drop nodes, constants and functions that no output needs",
       {},
       make_drop_dead_code},
      {"drop-notes", "Drop doc strings and metadata of nodes and values", {}, make_drop_notes},
      quantize_static_row(),
      quantize_weights_row(),
      expand_attention_row(),
      raise_opset_row(),
      widen_halves_row(),
      widen_resize_axes_row(),
  };
  return rows;
}

}  // namespace

std::span<const PassRow> registry() { return rows(); }

const PassRow& find_pass(std::string_view name) {
  std::vector<std::string> names;
  for (const PassRow& row : rows()) {
    if (row.name == name) return row;
    names.emplace_back(row.name);
  }
  throw BadOption("there is no pass '" + std::string(name) + "'" + did_you_mean(name, names, 3) +
                  " (dwindle passes lists all; in Python: dwindle.passes())");
}

std::unique_ptr<Pass> make_pass(std::string_view name,
                                const std::map<std::string, OptionValue>& given) {
  const PassRow& row = find_pass(name);
  return row.make(complete_options(row, given));
}

}  // namespace dwindle::passes
