// expand-attention: writes Attention nodes as the ops that they stand for: two MatMuls with a
// softmax between them, heads split off and put together with Reshape and Transpose, masks added
// to the scores. Nested graphs' too.
//
// No runtime has an integer kernel for the op as one, but all have one for MatMul, so that
// quantization reaches the products in this form. Heads of queries that share keys (grouped
// queries) become rows of one matrix, so that no key is copied. Extents that are not known are
// computed from Shape. New nodes are called after the node: `<name>/scores`, `<name>/softmax`, ….
//
// Source: the function body of Attention-23, -24 and -25 in the schemas of ONNX 1.23, but for the
// scale, which goes to the queries as a whole rather than to queries and keys by its root: float32
// needs no care for what 16 bits cannot hold.
//
// Does nothing for nodes that `exclude` names, for other dtypes than float32, for unknown ranks,
// and for forms whose meaning the specification leaves open; a note tells why. Bodies of local
// functions stay as they are (inline-functions comes first).
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/ops/infer.h"
#include "passes/convert/attention_mask.h"
#include "passes/convert/passes.h"
#include "passes/node_names.h"
#include "passes/simplify/rewrite.h"

namespace dwindle::passes {
namespace {

using Strings = std::vector<std::string>;

constexpr int kSince = 23;

enum Output : size_t { kY, kPresentKey, kPresentValue, kScores };
// What output kScores shows.
enum Shown : int64_t { kScaled, kCapped, kMasked, kSoftmax };

size_t rank_of(const Value* value) {
  return value != nullptr && value->type.shape ? value->type.shape->size() : 0;
}

// An input of the model that has the same extent, where it has a name: what many layers compute
// from their own tensors is then the same computation. Names in bodies may mean another extent each
// turn.
NodeWriter::Axis shared(const NodeWriter::Axis& axis) {
  const Graph& graph = *axis.value->graph();
  if (axis.dim.known() || axis.dim.symbol.empty() || graph.parent() != nullptr) return axis;
  for (Value* input : graph.inputs()) {
    for (size_t i = 0; i < rank_of(input); ++i) {
      const Dim& dim = (*input->type.shape)[i];
      if (dim.same(axis.dim)) return {input, static_cast<int64_t>(i), dim};
    }
  }
  return axis;
}

// The extent of input i, unknown where it has no such axis.
Dim dim(const Node& node, size_t i, size_t axis) {
  const Value* value = node.input(i);
  return axis < rank_of(value) ? (*value->type.shape)[axis] : Dim();
}

std::string dtype_obstacle(const Node& node) {
  for (const size_t i : {kQ, kK, kV, kPastKey, kPastValue}) {
    const Value* value = node.input(i);
    if (value == nullptr) {
      if (i <= kV) return "an input is missing";
      continue;
    }
    if (value->type.dtype == DType::kFloat) continue;
    return "'" + value->name() + "' is " + std::string(dtype_name(value->type.dtype)) +
           ", not float32";
  }
  return "";
}

std::string heads_obstacle(const Node& node) {
  const size_t rank = rank_of(node.input(kQ));
  if ((rank != 3 && rank != 4) || rank_of(node.input(kK)) != rank ||
      rank_of(node.input(kV)) != rank) {
    return "its inputs are not known to have three axes, or four";
  }
  Dim queries = dim(node, kQ, 1), keys = dim(node, kK, 1);
  if (rank == 3) {
    queries = node.int_attribute("q_num_heads", 0);
    keys = node.int_attribute("kv_num_heads", 0);
  }
  const bool wrong = queries.extent == 0 || keys.extent == 0 ||
                     (queries.known() && keys.known() && queries.extent % keys.extent != 0);
  return wrong ? "its numbers of heads do not fit" : "";
}

// Why `node` cannot be written with other ops, or empty.
std::string obstacle(const Node& node) {
  for (const std::string& why : {dtype_obstacle(node), heads_obstacle(node), mask_obstacle(node)}) {
    if (!why.empty()) return why;
  }
  if ((node.input(kPastKey) == nullptr) != (node.input(kPastValue) == nullptr)) {
    return "it has a past key without a past value, or the other way round";
  }
  if (node.attribute("scale") != nullptr && !(node.float_attribute("scale", 0) > 0)) {
    return "its scale is not positive";
  }
  const int64_t shown = node.int_attribute("qk_matmul_output_mode", kScaled);
  if (shown < kScaled || shown > kSoftmax) return "its qk_matmul_output_mode is not known";
  switch (static_cast<DType>(node.int_attribute("softmax_precision", 1))) {
    case DType::kFloat:
    case DType::kFloat16:
    case DType::kBfloat16:
    case DType::kDouble:
      return "";
    default:
      return "its softmax_precision is no floating-point type";
  }
}

class Expansion {
 public:
  Expansion(Model& model, Node& node)
      : node_(node),
        opset_(opset_or_zero(model, node)),
        writer_(model, node),
        flat_(rank_of(node.input(kQ)) == 3),
        shown_(node.int_attribute("qk_matmul_output_mode", kScaled)),
        queries_(axis_of(kQ, flat_ ? 1 : 2)),
        q_heads_(axis_of(kQ, 1)),
        kv_heads_(axis_of(kK, 1)) {
    if (flat_) {
      q_heads_.dim = node.int_attribute("q_num_heads", 0);
      kv_heads_.dim = node.int_attribute("kv_num_heads", 0);
    }
    groups_ = !q_heads_.dim.known() || q_heads_.dim != kv_heads_.dim;
  }

  void run() {
    Value* q = with_heads("queries", scaled_queries(), q_heads_);
    Value* k = with_past("keys", kK, kPastKey, kPresentKey);
    Value* v = with_past("values", kV, kPastValue, kPresentValue);
    Value* turned = writer_.transpose("keys_turned", k, {0, 1, 3, 2});
    Value* scores = writer_.add("MatMul", "scores", {grouped("queries", q), turned});
    // Without a mask, rows of a group need not be told apart.
    const bool apart = wants(kScores) || has_mask(node_, opset_);
    if (apart) scores = ungrouped("scores", scores);
    const AttentionMask mask = write_attention_mask(node_, opset_, extents(k), writer_);
    Value* weights = softmax(biased(capped(scores), mask), mask);
    if (apart) weights = grouped("weights", weights);
    Value* y = ungrouped("output", writer_.add("MatMul", "output", {weights, v}));
    if (mask.seen != nullptr) y = where_seen("output_seen", y, mask);
    writer_.stand_for_output(kY, without_heads(y));
  }

 private:
  NodeWriter::Axis axis_of(size_t input, int64_t axis) const {
    return {node_.input(input), axis, dim(node_, input, static_cast<size_t>(axis))};
  }

  bool wants(size_t output) const {
    const Value* value = node_.output(output);
    return value != nullptr && !value->unused();
  }

  Value* scaled_queries() {
    Value* q = node_.input(kQ);
    if (node_.attribute("scale") != nullptr) return scaled(q, node_.float_attribute("scale", 1));
    const NodeWriter::Axis size = axis_of(kQ, flat_ ? 2 : 3);
    const int64_t heads = flat_ ? q_heads_.dim.extent : 1;
    if (size.dim.known()) {
      return scaled(q, 1 / std::sqrt(static_cast<float>(size.dim.extent / heads)));
    }
    Value* extent = std::get<Value*>(writer_.extent("size", size));
    if (heads > 1)
      extent = writer_.add("Div", "head_size", {extent, writer_.integer("heads", heads)});
    Value* root = writer_.add("Sqrt", "scale", {cast("head_size_float", extent, DType::kFloat)});
    return writer_.add("Div", "queries_scaled", {q, root});
  }

  Value* scaled(Value* value, float scale) {
    if (scale == 1) return value;
    return writer_.add("Mul", "queries_scaled", {value, writer_.number("scale", scale)});
  }

  Value* cast(const std::string& role, Value* value, DType dtype) {
    NodeWriter::Attributes to;
    to.emplace_back("to", static_cast<int64_t>(dtype));
    return writer_.add("Cast", role, {value}, std::move(to));
  }

  // [batch, heads, length, size]
  Value* with_heads(const std::string& role, Value* value, const NodeWriter::Axis& heads) {
    if (!flat_) return value;
    Value* split = writer_.reshape(role + "_split", value, {0, 0, heads.dim.extent, -1});
    return writer_.transpose(role + "_heads", split, {0, 2, 1, 3});
  }

  Value* without_heads(Value* y) {
    if (!flat_) return y;
    Value* turned = writer_.transpose("output_turned", y, {0, 2, 1, 3});
    return writer_.reshape("output_joined", turned, {0, 0, -1});
  }

  // Keys or values of all that was and is, which is what output `present` shows.
  Value* with_past(const std::string& role, size_t now, size_t past, size_t present) {
    Value* all = with_heads(role, node_.input(now), kv_heads_);
    if (node_.input(past) != nullptr) {
      NodeWriter::Attributes axis;
      axis.emplace_back("axis", int64_t{2});
      all = writer_.add("Concat", role + "_all", {node_.input(past), all}, std::move(axis));
    }
    if (wants(present)) writer_.stand_for_output(present, all);
    return all;
  }

  // The queries of all heads that share keys as rows of one matrix, and back.
  Value* grouped(const std::string& role, Value* value) {
    if (!groups_) return value;
    const Dim &rows = queries_.dim, &q = q_heads_.dim, &kv = kv_heads_.dim;
    const bool known = rows.known() && q.known() && kv.known();
    return writer_.reshape(role + "_grouped", value,
                           {0, writer_.extent("kv_heads", kv_heads_),
                            known ? rows.extent * (q.extent / kv.extent) : -1, 0});
  }
  Value* ungrouped(const std::string& role, Value* value) {
    if (!groups_) return value;
    return writer_.reshape(role + "_apart", value,
                           {0, writer_.extent("q_heads", q_heads_), queries_.dim.extent, 0});
  }

  Value* capped(Value* scores) {
    show(kScaled, scores);
    const float cap = node_.float_attribute("softcap", 0);
    if (cap > 0) {
      Value* limit = writer_.number("softcap", cap);
      Value* tanh = writer_.add("Tanh", "tanh", {writer_.add("Div", "relative", {scores, limit})});
      scores = writer_.add("Mul", "capped", {tanh, limit});
    }
    show(kCapped, scores);
    return scores;
  }

  Value* biased(Value* scores, const AttentionMask& mask) {
    if (mask.bias == nullptr) {
      show(kMasked, scores);
      return scores;
    }
    if (shown_ == kMasked && wants(kScores)) {
      show(kMasked, writer_.add("Add", "shown", {scores, mask.bias}));
    }
    Value* bias = mask.bias;
    if (mask.seen != nullptr) {
      // A query that sees nothing weighs all alike for now, rather than with what is no number.
      Value* least = writer_.number("least", std::numeric_limits<float>::lowest());
      bias = writer_.add("Clip", "bias_finite", {bias, least});
    }
    return writer_.add("Add", "biased", {scores, bias});
  }

  Value* softmax(Value* scores, const AttentionMask& mask) {
    const auto dtype = static_cast<DType>(node_.int_attribute("softmax_precision", 1));
    if (dtype != DType::kFloat) scores = cast("softmax_input", scores, dtype);
    NodeWriter::Attributes axis;
    axis.emplace_back("axis", int64_t{-1});
    Value* weights = writer_.add("Softmax", "softmax", {scores}, std::move(axis));
    if (dtype != DType::kFloat) weights = cast("softmax_output", weights, DType::kFloat);
    if (shown_ == kSoftmax && wants(kScores)) {
      show(kSoftmax, mask.seen == nullptr ? weights : where_seen("shown", weights, mask));
    }
    return weights;
  }

  Value* where_seen(const std::string& role, Value* value, const AttentionMask& mask) {
    return writer_.add("Where", role, {mask.seen, value, writer_.number("nothing", 0)});
  }

  AttentionScores extents(Value* all_keys) const {
    AttentionScores scores{shared(queries_), shared(axis_of(kK, flat_ ? 1 : 2)), {nullptr, 2, 0}};
    if (node_.input(kPastKey) == nullptr) return scores;
    scores.past = shared(axis_of(kPastKey, 2));
    const Dim past = scores.past.dim, now = scores.keys.dim;
    scores.keys = {all_keys, 2, past.known() && now.known() ? past.extent + now.extent : Dim()};
    return scores;
  }

  void show(int64_t what, Value* value) {
    if (what == shown_ && wants(kScores)) writer_.stand_for_output(kScores, value);
  }

  Node& node_;
  int opset_;
  NodeWriter writer_;
  bool flat_ = false;    // heads lie in the last of three axes
  bool groups_ = false;  // several heads of queries may share keys
  int64_t shown_;
  NodeWriter::Axis queries_, q_heads_, kv_heads_;
};

class ExpandAttention : public Pass {
 public:
  explicit ExpandAttention(Strings exclude) : exclude_(std::move(exclude)) {}

  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    std::vector<Node*> found;
    for_each_node(*model.graph, [&](Node& node) {
      if (is_attention(model, node) && !excluded(node)) found.push_back(&node);
    });
    if (found.empty()) return result;
    infer_shapes(model);
    for (Node* node : found) {
      if (const std::string why = obstacle(*node); !why.empty()) {
        result.notes.push_back("Attention '" + handle(*node) + "' stays one op: " + why);
        continue;
      }
      Expansion(model, *node).run();
      node->graph()->erase(node);
      ++result.counts["attentions"];
    }
    result.changed = !result.counts.empty();
    for_each_graph(*model.graph, [](Graph& graph) { graph.sweep(); });
    if (result.changed) infer_shapes(model);
    return result;
  }

 private:
  static bool is_attention(const Model& model, const Node& node) {
    return node.is("Attention") && opset_or_zero(model, node) >= kSince;
  }

  bool excluded(const Node& node) const {
    return std::ranges::any_of(
        exclude_, [&](const std::string& pattern) { return name_matches(pattern, handle(node)); });
  }

  Strings exclude_;
};

}  // namespace

PassRow expand_attention_row() {
  return {"expand-attention",
          "Write Attention as MatMul, Softmax and the like, which can be quantized",
          {{"exclude", Strings{}, "glob of names of nodes to leave as they are", {}}},
          [](const Options& options) -> std::unique_ptr<Pass> {
            return std::make_unique<ExpandAttention>(options.get<Strings>("exclude"));
          }};
}

}  // namespace dwindle::passes
