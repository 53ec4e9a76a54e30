// Which nodes people mean by the names of a model as they gave it.
#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "core/ir/model.h"

namespace dwindle::passes {

// What a person calls a node: its name, or where it has none, its first output.
std::string handle(const Node& node);

// Whether `pattern` is `name` or, as a glob, matches it.
bool name_matches(const std::string& pattern, const std::string& name);

struct MatchedNodes {
  std::unordered_set<const Node*> nodes;  // of the model to quantize, nested graphs included
  std::vector<std::string> notes;
};

// The nodes of `model` that `patterns` mean: globs (or whole names) of nodes as they are called in
// `original`, the model as it was given, or in `model`, what simplify made of it. For a node that
// only `original` has and that is of an op that simplify merges, the layer (or clip, or pool)
// counts that it lay next to: a BatchNormalization stands for the Conv that it was folded into. A
// note says so, or that the model has no such node any more. `original` may be null. Raises
// BadOption, with the nearest names, where a pattern matches no node of either.
MatchedNodes matching_nodes(const Model& model, const Model* original,
                            const std::vector<std::string>& patterns, const std::string& option);

// The nodes of `model` that expand-attention wrote for Attention nodes of `original`.
std::unordered_set<const Node*> expanded_attentions(const Model& model, const Model& original);

}  // namespace dwindle::passes
