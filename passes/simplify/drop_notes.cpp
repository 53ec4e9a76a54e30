// drop-notes: drops what exporters note for people on nodes and values: doc strings and metadata.
//
// PyTorch's exporter writes the stack trace, the scopes and the class of the module to each node,
// which can be more bytes than the quantized weights of a small model.
//
// What the model says of itself (its metadata, its doc string) and of its inputs and outputs stays.
#include "core/onnx/notes.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

struct DropNotes : Pass {
  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    const size_t freed = drop_notes(model);
    result.counts["bytes"] = static_cast<int64_t>(freed);
    result.changed = freed > 0;
    return result;
  }
};

}  // namespace

std::unique_ptr<Pass> make_drop_notes(const Options&) { return std::make_unique<DropNotes>(); }

}  // namespace dwindle::passes
