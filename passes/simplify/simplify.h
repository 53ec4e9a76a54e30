// The passes of simplify: each makes a model smaller or plainer and changes no result beyond
// rounding. See the top of each .cpp for what a pass does and when it does nothing.
//
// All look into nested graphs. None but inline-functions, drop-dead-code and infer-shapes looks
// into local functions, whose values have no types: simplify inlines them first. Nodes whose op is
// not in the operator table, and what they read, stay as they are.
#pragma once

#include <memory>

#include "passes/pass.h"

namespace dwindle::passes {

std::unique_ptr<Pass> make_capture_loop_invariants(const Options& options);
std::unique_ptr<Pass> make_inline_functions(const Options& options);
std::unique_ptr<Pass> make_drop_weight_inputs(const Options& options);
std::unique_ptr<Pass> make_infer_shapes(const Options& options);
std::unique_ptr<Pass> make_lift_constants(const Options& options);
std::unique_ptr<Pass> make_fold_constants(const Options& options);
std::unique_ptr<Pass> make_fold_batch_norm(const Options& options);
std::unique_ptr<Pass> make_fold_affine(const Options& options);
std::unique_ptr<Pass> make_fuse_matmul_add(const Options& options);
std::unique_ptr<Pass> make_merge_pad(const Options& options);
std::unique_ptr<Pass> make_merge_clips(const Options& options);
std::unique_ptr<Pass> make_drop_identities(const Options& options);
std::unique_ptr<Pass> make_drop_noop_reshapes(const Options& options);
std::unique_ptr<Pass> make_drop_noop_transposes(const Options& options);
std::unique_ptr<Pass> make_drop_noop_casts(const Options& options);
std::unique_ptr<Pass> make_drop_noop_moves(const Options& options);
std::unique_ptr<Pass> make_drop_noop_arithmetic(const Options& options);
std::unique_ptr<Pass> make_merge_equal_initializers(const Options& options);
std::unique_ptr<Pass> make_merge_common_subexpressions(const Options& options);
std::unique_ptr<Pass> make_drop_dead_code(const Options& options);
std::unique_ptr<Pass> make_drop_notes(const Options& options);

}  // namespace dwindle::passes
