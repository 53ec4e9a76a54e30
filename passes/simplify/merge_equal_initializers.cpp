// merge-equal-initializers: keeps one of several constants of equal dtype, shape and bytes.
//
// Tied weights are written twice by some exporters; small ones (axes, shapes, clip bounds) many
// times. The first in the outermost graph stays. Only tensors of which another has the same dtype
// and shape are read at all.
//
// Does nothing for graph inputs and outputs, sparse tensors, and tensors with metadata of their
// own.
#include <map>
#include <unordered_map>

#include "passes/simplify/hash.h"
#include "passes/simplify/rewrite.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

bool is_candidate(const Value& value) {
  return value.initializer() != nullptr && !value.is_graph_input() && !value.is_graph_output() &&
         value.sparse_initializer() == nullptr && value.tensor_extra.empty();
}

bool is_visible(const Graph* from, const Value& value) {
  while (from != nullptr && from != value.graph()) from = from->parent();
  return from != nullptr;
}

// Merges values that all have the same dtype and shape.
int64_t merge(const std::vector<Value*>& values) {
  std::unordered_map<uint64_t, std::vector<Value*>> kept;
  int64_t merged = 0;
  for (Value* value : values) {
    std::vector<Value*>& likely = kept[hash_of(*value->initializer())];
    Value* by = nullptr;
    for (Value* other : likely) {
      if (!is_visible(value->graph(), *other)) continue;
      if (!value->initializer()->identical(*other->initializer())) continue;
      by = other;
      break;
    }
    if (by == nullptr) {
      likely.push_back(value);
      continue;
    }
    value->graph()->replace(value, by);
    value->graph()->erase(value);
    ++merged;
  }
  return merged;
}

struct MergeEqualInitializers : Pass {
  PassResult run(Model& model, PassContext&) override {
    std::map<std::pair<DType, Dims>, std::vector<Value*>> alike;
    for_each_graph(*model.graph, [&](Graph& graph) {
      for (Value* value : graph.initializers()) {
        if (!is_candidate(*value)) continue;
        alike[{value->initializer()->dtype(), value->initializer()->shape()}].push_back(value);
      }
    });
    PassResult result;
    int64_t& merged = result.counts["merged"];
    for (const auto& [type, values] : alike) {
      if (values.size() > 1) merged += merge(values);
    }
    result.changed = merged > 0;
    return result;
  }
};

}  // namespace

std::unique_ptr<Pass> make_merge_equal_initializers(const Options&) {
  return std::make_unique<MergeEqualInitializers>();
}

}  // namespace dwindle::passes
