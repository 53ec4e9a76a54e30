// fold-constants: computes now what does not depend on the inputs.
//
// One forward sweep in which shape inference and folding feed each other:
//   - a node whose inputs are all constant is run by its kernel and replaced by what it makes;
//   - a value whose integer elements inference knows becomes a constant though its node reads an
//     input: Shape, Gather, Mul, Concat over known extents, also where the batch is unknown;
//   - a Reshape to a target that is known but for one extent gets the constant target with -1 there
//     (0 for extents copied from their place), which frees the shape arithmetic before it;
//   - a CastLike of a known dtype becomes Cast, as it reads no element of its second input;
//   - an If with a known condition gives way to its branch.
//
// Does nothing for random ops, for nodes whose kernel refuses, for what would add more bytes than
// `size-cap`, for the decoding of compressed weights (DequantizeLinear, and Cast of more than a few
// elements to a wider type), and for the Transpose of a matrix that others read as it is: tied
// weights would be stored twice. Where all that is left would make the constants larger by more
// than the share `growth-cap`, tables stay computed, and only what is small is folded: a budget
// that runs out on the way to a table would leave behind what the table is made of.
#include <algorithm>
#include <set>
#include <unordered_map>

#include "core/ir/constant_bytes.h"
#include "core/ops/infer.h"
#include "core/ops/op.h"
#include "core/runtime/run_node.h"
#include "core/support/error.h"
#include "passes/simplify/rewrite.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

// Wider casts of constants up to this size are arithmetic; of more, weights stored small.
constexpr int64_t kSmallConstant = 64;
// Bytes of a matrix that are not worth a node to turn them.
constexpr size_t kMostTwice = 1 << 12;
// Bytes that folding may add however small the model is.
constexpr double kAlwaysAllowed = 16 << 10;
// Bytes that the folding of one node may add where tables stay computed.
constexpr int64_t kSmallTable = 1 << 10;

class Folding {
 public:
  // Adds at most `budget` bytes, of which `a_node` at one node.
  Folding(Model& model, int64_t budget, int64_t a_node)
      : model_(model), inference_(model), budget_(budget), a_node_(a_node) {}

  PassResult run() {
    sweep(*model_.graph);
    // Only now: inference knows values by their address, which a new value could get again.
    std::reverse(replaced_.begin(), replaced_.end());
    for (Node* node : replaced_) {
      if (erase_if_unused(*node)) ++result_.counts["nodes"];
    }
    for (Value* value : freed_) {
      if (value->unused() && value->producer() == nullptr && !value->is_graph_input()) {
        value->graph()->erase(value);
      }
    }
    // Last, and inner ones first: they take the nodes and values in their graphs with them.
    for (Node* node : with_graphs_) {
      if (erase_if_unused(*node)) ++result_.counts["nodes"];
    }
    for_each_graph(*model_.graph, [](Graph& graph) { graph.sweep(); });
    return std::move(result_);
  }

 private:
  void sweep(Graph& graph) {
    for (Node* node : graph.nodes()) {
      if (inline_branch(*node)) continue;
      for (Graph* nested : node->nested_graphs()) sweep(*nested);
      inference_.infer(*node);
      lower_cast_like(*node);
      if (fold_known_elements(*node) || fold_constant_inputs(*node)) continue;
      fix_reshape_target(*node);
    }
  }

  void lower_cast_like(Node& node) {
    if (!is_op(model_, node, "CastLike", 15) || node.input(0) == nullptr) return;
    const DType dtype = node.input(1) == nullptr ? DType::kUndefined : node.input(1)->type.dtype;
    if (dtype == DType::kUndefined) return;
    node.op_type = "Cast";
    node.set_attribute("to", static_cast<int64_t>(dtype));
    node.resize_inputs(1);
    ++result_.counts["cast-likes"];
    result_.changed = true;
  }

  // The integers that `value` is known to hold, constant or inferred.
  std::optional<std::vector<int64_t>> known_integers(const Value& value) const {
    if (auto integers = constant_integers(&value)) return integers;
    const Elements* elements = inference_.elements(&value);
    if (elements == nullptr) return std::nullopt;
    std::vector<int64_t> integers;
    for (const Element& element : *elements) {
      if (!element.exact) return std::nullopt;
      integers.push_back(*element.exact);
    }
    return integers;
  }

  // Makes `constant` stand for output i of `node`. False where that would take a node again.
  bool replace_output(Node& node, size_t i, Tensor constant) {
    Value& old = *node.output(i);
    const bool carrier = node.is("Identity") || node.is("Constant");
    if (old.is_graph_output() && carrier) return false;
    const bool output = old.is_graph_output();
    Value* by = add_constant(model_, *node.graph(), old.name(), std::move(constant));
    node.graph()->replace(&old, by);
    if (!output) take_name(old, *by);
    result_.changed = true;
    return true;
  }

  void note_replaced(Node& node) {
    if (!node.nested_graphs().empty()) return with_graphs_.push_back(&node);
    replaced_.push_back(&node);
    for (Value* input : node.inputs()) {
      if (input != nullptr && input->constant() != nullptr) freed_.insert(input);
    }
  }

  bool fold_known_elements(Node& node) {
    if (node.is("Constant") || opset_or_zero(model_, node) == 0) return false;
    bool all = true, any = false;
    for (size_t i = 0; i < node.num_outputs(); ++i) {
      Value* output = node.output(i);
      if (output == nullptr || output->unused()) continue;
      const auto tensor = known_tensor(*output);
      const bool folded = tensor && replace_output(node, i, *tensor);
      all &= folded;
      any |= folded;
    }
    if (any) note_replaced(node);
    return any && all;
  }

  std::optional<Tensor> known_tensor(const Value& value) const {
    const ValueType& type = value.type;
    if (!type.shape || type.shape->size() > 1) return std::nullopt;
    const Elements* elements = inference_.elements(&value);
    if (elements == nullptr) return std::nullopt;
    const auto integers = known_integers(value);
    if (!integers) return std::nullopt;
    const auto count = static_cast<int64_t>(integers->size());
    if (type.shape->empty() && count != 1) return std::nullopt;
    const Dims dims = type.shape->empty() ? Dims{} : Dims{count};
    if (type.dtype == DType::kInt64) return Tensor::of<int64_t>(dims, *integers);
    if (type.dtype == DType::kInt32) {
      return Tensor::of<int32_t>(dims, std::vector<int32_t>(integers->begin(), integers->end()));
    }
    return std::nullopt;
  }

  bool may_fold(const Node& node) const {
    const int opset = opset_or_zero(model_, node);
    const OpRow* row = opset == 0 ? nullptr : find_op(node.domain, node.op_type, opset);
    if (row == nullptr || (row->traits & kRandom) != 0 || node.is("Constant")) return false;
    bool any = false;
    for (const Value* input : node.inputs()) {
      if (input == nullptr) continue;
      if (input->constant() == nullptr) return false;
      any = true;
    }
    return any && !decodes_weights(node) && !turns_tied_weights(node);
  }

  static bool turns_tied_weights(const Node& node) {
    if (!node.is("Transpose")) return false;
    const Value& matrix = *node.input(0);
    const bool tied = matrix.uses().size() > 1 || matrix.is_graph_output();
    return tied && matrix.constant()->rank() == 2 && matrix.constant()->nbytes() > kMostTwice;
  }

  static bool decodes_weights(const Node& node) {
    if (node.is("DequantizeLinear")) return true;
    if (!node.is("Cast")) return false;
    const Tensor& from = *node.input(0)->constant();
    const DType to = node.output() == nullptr ? DType::kUndefined : node.output()->type.dtype;
    return from.size() > kSmallConstant && dtype_bits(to) > dtype_bits(from.dtype());
  }

  bool fold_constant_inputs(Node& node) {
    if (!may_fold(node)) return false;
    std::vector<Tensor> inputs;
    int64_t growth = 0;
    std::set<const Value*> counted;
    for (const Value* input : node.inputs()) {
      inputs.push_back(input == nullptr ? Tensor() : *input->constant());
      if (input == nullptr || !counted.insert(input).second) continue;
      const bool alone = sole_user(*input) == &node;
      if (alone) growth -= static_cast<int64_t>(inputs.back().nbytes());
    }
    std::optional<std::vector<Tensor>> outputs;
    try {
      if (known_size(node) + growth > most()) return false;
      outputs = run_node(node, opset_or_zero(model_, node), inputs);
    } catch (const Error&) {
      return false;  // the node may never run
    }
    if (!outputs) return false;
    for (const Tensor& output : *outputs) growth += static_cast<int64_t>(output.nbytes());
    if (growth > most()) return false;
    bool any = false;
    for (size_t i = 0; i < outputs->size(); ++i) {
      Value* output = node.output(i);
      if (output == nullptr || output->unused()) continue;
      any |= replace_output(node, i, (*outputs)[i]);
    }
    if (!any) return false;
    budget_ -= growth;  // less than nothing where what was read is freed
    note_replaced(node);
    return true;
  }

  int64_t most() const { return std::min(budget_, a_node_); }

  // Bytes that inference says the outputs take: what is too large is not even computed.
  static int64_t known_size(const Node& node) {
    int64_t bytes = 0;
    for (const Value* output : node.outputs()) {
      if (output == nullptr || !output->type.shape || !all_known(*output->type.shape)) continue;
      bytes += static_cast<int64_t>(
          packed_bytes(output->type.dtype, element_count(to_dims(*output->type.shape))));
    }
    return bytes;
  }

  void fix_reshape_target(Node& node) {
    if (!is_op(model_, node, "Reshape", 5) || node.input(0) == nullptr) return;
    Value* target = node.input(1);
    if (target == nullptr || target->constant() != nullptr) return;
    const Elements* elements = inference_.elements(target);
    if (elements == nullptr) return;
    const auto constant = constant_target(*elements, node);
    if (!constant) return;
    // Its zeros copy, unless they were there before.
    if (!has_zero(*elements)) node.remove_attribute("allowzero");
    const auto count = static_cast<int64_t>(constant->size());
    node.set_input(1, add_constant(model_, *node.graph(), target->name(),
                                   Tensor::of<int64_t>({count}, *constant)));
    ++result_.counts["reshape-targets"];
    result_.changed = true;
  }

  static bool has_zero(const Elements& elements) {
    return std::any_of(elements.begin(), elements.end(),
                       [](const Element& element) { return element.exact == 0; });
  }

  // A constant target that means the same as `elements`, which are not all known.
  static std::optional<std::vector<int64_t>> constant_target(const Elements& elements,
                                                             const Node& node) {
    const auto& shape = node.input(0)->type.shape;
    const bool zero_copies = node.int_attribute("allowzero", 0) == 0 || !has_zero(elements);
    auto copied = [&](size_t i) {
      return zero_copies && shape && i < shape->size() && !elements[i].symbol.empty() &&
             (*shape)[i].symbol == elements[i].symbol;
    };
    size_t unknown = 0;
    bool inferred = false;
    for (const Element& element : elements) {
      unknown += element.exact ? 0 : 1;
      inferred |= element.exact == -1;
    }
    // One unknown extent is best left to Reshape, which needs no symbol to be true for that.
    const bool prefer_copies = unknown > 1 || inferred;
    std::vector<int64_t> target;
    for (size_t i = 0; i < elements.size(); ++i) {
      if (elements[i].exact) {
        target.push_back(*elements[i].exact);
      } else if (prefer_copies && copied(i)) {
        target.push_back(0);
      } else if (!inferred && zero_copies) {
        target.push_back(-1);
        inferred = true;
      } else {
        return std::nullopt;
      }
    }
    return target;
  }

  bool inline_branch(Node& node) {
    if (!is_op(model_, node, "If") || node.input(0) == nullptr) return false;
    const Tensor* condition = node.input(0)->constant();
    if (condition == nullptr || condition->dtype() != DType::kBool || condition->size() != 1) {
      return false;
    }
    const Graph* branch =
        node.graph_attribute(to_int64s(*condition)[0] != 0 ? "then_branch" : "else_branch");
    if (branch == nullptr || branch->outputs().size() < node.num_outputs()) return false;
    Graph& graph = *node.graph();
    // Behind the If, so that the sweep meets the copies next.
    std::unordered_map<const Value*, Value*> values;
    copy_nodes(*branch, graph, values, node.next(), /*unique_names=*/true);
    for (size_t i = 0; i < node.num_outputs(); ++i) {
      Value* old = node.output(i);
      if (old == nullptr || old->unused()) continue;
      auto copy = values.find(branch->outputs()[i]);
      Value* by = copy == values.end() ? branch->outputs()[i] : copy->second;
      graph.replace(old, by);
      if (copy != values.end()) take_name(*old, *by);
    }
    note_replaced(node);
    ++result_.counts["branches"];
    result_.changed = true;
    return true;
  }

  Model& model_;
  ShapeInference inference_;
  int64_t budget_, a_node_;
  std::vector<Node*> replaced_, with_graphs_;
  std::set<Value*> freed_;
  PassResult result_;
};

class FoldConstants : public Pass {
 public:
  FoldConstants(int64_t size_cap, double growth_cap)
      : size_cap_(size_cap), growth_cap_(growth_cap) {}
  PassResult run(Model& model, PassContext&) override {
    const size_t bytes = constant_bytes(model);
    Model small = model.clone();
    auto before = written_types(model);
    PassResult result = Folding(model, size_cap_, size_cap_).run();
    if (constant_bytes(model) > bytes + static_cast<size_t>(most_growth(bytes))) {
      model = std::move(small);
      before = written_types(model);
      result = Folding(model, most_growth(bytes), kSmallTable).run();
    }
    // What inference has found out goes into the file where a type is written at all.
    int64_t types = 0;
    for (const auto& [value, type] : written_types(model)) {
      const auto known = before.find(value);
      types += known != before.end() && !(known->second == type) ? 1 : 0;
    }
    if (types > 0) result.counts["types"] = types;
    result.changed |= types > 0;
    return result;
  }

 private:
  int64_t most_growth(size_t bytes) const {
    const double most = std::max(growth_cap_ * static_cast<double>(bytes), kAlwaysAllowed);
    return most < static_cast<double>(size_cap_) ? static_cast<int64_t>(most) : size_cap_;
  }
  static std::unordered_map<const Value*, ValueType> written_types(const Model& model) {
    std::unordered_map<const Value*, ValueType> types;
    for_each_graph(*model.graph, [&](Graph& graph) {
      for (const Value* value : graph.values()) {
        if (value->is_graph_output() || value->declared) types.emplace(value, value->type);
      }
    });
    return types;
  }

  int64_t size_cap_;
  double growth_cap_;
};

}  // namespace

std::unique_ptr<Pass> make_fold_constants(const Options& options) {
  return std::make_unique<FoldConstants>(options.get<int64_t>("size-cap"),
                                         options.get<double>("growth-cap"));
}

}  // namespace dwindle::passes
