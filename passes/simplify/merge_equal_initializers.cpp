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

// Constants that stay, by graph: of thousands of branches none looks into another.
class Kept {
 public:
  // One that `value` can read and that holds the same; the outermost of several.
  Value* like(const Value& value, uint64_t hash) const {
    Value* found = nullptr;
    for (const Graph* graph = value.graph(); graph != nullptr; graph = graph->parent()) {
      const auto likely = values_.find(mix(hash, reinterpret_cast<uintptr_t>(graph)));
      if (likely == values_.end()) continue;
      for (Value* other : likely->second) {
        const bool same =
            other->graph() == graph && value.initializer()->identical(*other->initializer());
        if (!same) continue;
        found = other;
        break;
      }
    }
    return found;
  }
  void add(Value& value, uint64_t hash) {
    values_[mix(hash, reinterpret_cast<uintptr_t>(value.graph()))].push_back(&value);
  }

 private:
  std::unordered_map<uint64_t, std::vector<Value*>> values_;
};

// Merges values that all have the same dtype and shape.
int64_t merge(const std::vector<Value*>& values) {
  Kept kept;
  int64_t merged = 0;
  for (Value* value : values) {
    const uint64_t hash = hash_of(*value->initializer());
    Value* by = kept.like(*value, hash);
    if (by == nullptr) {
      kept.add(*value, hash);
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
