#include "passes/convert/attention_mask.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

namespace dwindle::passes {
namespace {

constexpr int kWindowsSince = 25;
constexpr int kShorterMaskSince = 24;
constexpr float kNever = -std::numeric_limits<float>::infinity();

Dim last_extent(const Value& value) {
  return value.type.shape && !value.type.shape->empty() ? value.type.shape->back() : Dim();
}

// Keys that a constant mask hides: none of them, some, or all keys of some query.
enum class Hides { kNone, kSome, kWholeRows };

Hides hides(const Value* mask) {
  const Tensor* tensor = mask->constant();
  if (tensor == nullptr || tensor->shape().empty() || tensor->shape().back() == 0) {
    return Hides::kWholeRows;
  }
  const bool is_bool = tensor->dtype() == DType::kBool;
  const std::vector<float> values = to_floats(*tensor);
  const auto row = static_cast<size_t>(tensor->shape().back());
  bool some = false;
  for (size_t at = 0; at < values.size(); at += row) {
    const auto hidden =
        std::ranges::count(std::span(values).subspan(at, row), is_bool ? 0 : kNever);
    if (hidden == static_cast<ptrdiff_t>(row)) return Hides::kWholeRows;
    some |= hidden > 0;
  }
  return some ? Hides::kSome : Hides::kNone;
}

// How many keys before and behind the own one a query sees; negative: all.
struct Window {
  int64_t left = -1, right = -1;
};

Window window_of(const Node& node, int opset) {
  Window window;
  if (opset >= kWindowsSince) {
    window.left = node.int_attribute("left_window_size", -1);
    window.right = node.int_attribute("right_window_size", -1);
  }
  if (node.int_attribute("is_causal", 0) != 0) window.right = 0;
  return window;
}

class MaskWriter {
 public:
  MaskWriter(const Node& node, int opset, const AttentionScores& scores, NodeWriter& writer)
      : node_(node),
        opset_(opset),
        scores_(scores),
        writer_(writer),
        window_(window_of(node, opset)) {}

  AttentionMask run() {
    Value* given = node_.input(kMask);
    const bool is_bool = given != nullptr && given->type.dtype == DType::kBool;
    const Hides hidden = given == nullptr ? Hides::kNone : hides(given);
    if (given != nullptr) given = lengthened(given);
    add_bounds();
    const bool bounded = allowed_ != nullptr;
    AttentionMask mask;
    if (is_bool) {
      allow("mask", given);
    } else {
      mask.bias = given;
    }
    if (allowed_ != nullptr) {
      Value* shown = mask.bias == nullptr ? writer_.number("shown", 0) : mask.bias;
      mask.bias = writer_.add("Where", "bias", {allowed_, shown, never()});
    }
    // Bounds by position alone leave each query the first key.
    const bool rows_end = window_.left >= 0 || node_.input(kValidKeys) != nullptr;
    if (!rows_end && (hidden == Hides::kNone || (hidden == Hides::kSome && !bounded))) return mask;
    Value* most =
        writer_.add("ReduceMax", "most_seen", {mask.bias, writer_.integers("keys_axis", {-1})});
    mask.seen = writer_.add("Greater", "seen", {most, never()});
    return mask;
  }

 private:
  void allow(const std::string& role, Value* condition) {
    allowed_ =
        allowed_ == nullptr ? condition : writer_.add("And", "and_" + role, {allowed_, condition});
  }

  Value* never() { return writer_.number("hidden", kNever); }

  // From version 24 on, keys behind the end of the mask are hidden.
  Value* lengthened(Value* mask) {
    const Dim length = last_extent(*mask);
    if (opset_ < kShorterMaskSince || length.same(scores_.keys.dim)) return mask;
    Value* own = nullptr;
    if (length.known()) {
      own = writer_.integers("mask_length", {length.extent});
    } else {
      NodeWriter::Attributes last;
      last.emplace_back("start", int64_t{-1});
      own = writer_.add("Shape", "mask_length", {mask}, std::move(last));
    }
    Value* missing =
        writer_.add("Sub", "mask_missing", {writer_.vector_of("keys_end", keys_extent()), own});
    NodeWriter::Attributes axis;
    axis.emplace_back("axis", int64_t{0});
    Value* pads = writer_.add("Concat", "mask_pads", {writer_.integers("mask_begin", {0}), missing},
                              std::move(axis));
    const bool is_bool = mask->type.dtype == DType::kBool;
    Value* fill = is_bool ? writer_.constant("no", Tensor::scalar(false)) : never();
    return writer_.add("Pad", "mask", {mask, pads, fill, writer_.integers("mask_axis", {-1})});
  }

  void add_bounds() {
    Value* valid = node_.input(kValidKeys);
    if (valid != nullptr) {
      valid = writer_.reshape("valid_keys", valid, {-1, 1, 1, 1});
      allow("valid", writer_.add("Less", "valid", {keys(), valid}));
    }
    if (window_.left < 0 && window_.right < 0) return;
    Value* at = queries(valid);
    if (window_.right >= 0) {
      allow("before",
            writer_.add("LessOrEqual", "before", {keys(), moved(at, window_.right, "last_key")}));
    }
    if (window_.left >= 0) {
      allow("after", writer_.add("GreaterOrEqual", "after",
                                 {keys(), moved(at, -window_.left, "first_key")}));
    }
  }

  Value* moved(Value* at, int64_t by, const std::string& role) {
    return by == 0 ? at : writer_.add("Add", role, {at, writer_.integer(role + "_offset", by)});
  }

  NodeWriter::Part queries_extent() { return writer_.extent("queries_length", scores_.queries); }
  NodeWriter::Part keys_extent() { return writer_.extent("keys_length", scores_.keys); }

  // 0, 1, 2, …
  Value* count(const std::string& role, const NodeWriter::Part& extent) {
    return writer_.add(
        "Range", role,
        {writer_.integer(role + "_first", 0), writer_.scalar_of(role + "_count", extent),
         writer_.integer(role + "_step", 1)});
  }

  // [keys]
  Value* keys() {
    if (keys_ == nullptr) keys_ = count("key_numbers", keys_extent());
    return keys_;
  }

  // Which key each query stands at: [queries, 1], or [batch, 1, queries, 1] where that follows from
  // how many keys of a batch are valid ([batch, 1, 1, 1]).
  Value* queries(Value* valid) {
    Value* at = writer_.reshape("query_rows", count("query_numbers", queries_extent()), {-1, 1});
    if (valid != nullptr) {
      Value* count = writer_.vector_of("queries_end", queries_extent());
      return writer_.add("Add", "positions",
                         {at, writer_.add("Sub", "queries_offset", {valid, count})});
    }
    const NodeWriter::Part past = writer_.extent("past_length", scores_.past);
    if (const int64_t* known = std::get_if<int64_t>(&past)) return moved(at, *known, "positions");
    return writer_.add("Add", "positions", {at, std::get<Value*>(past)});
  }

  const Node& node_;
  int opset_;
  const AttentionScores& scores_;
  NodeWriter& writer_;
  Window window_;
  Value* allowed_ = nullptr;
  Value* keys_ = nullptr;
};

}  // namespace

std::string mask_obstacle(const Node& node) {
  if (node.input(kPastKey) != nullptr && node.input(kValidKeys) != nullptr) {
    return "past keys and nonpad_kv_seqlen together have no meaning";
  }
  const Value* mask = node.input(kMask);
  if (mask == nullptr) return "";
  const DType dtype = mask->type.dtype;
  if (dtype != DType::kBool && dtype != DType::kFloat) {
    return "its mask is " + std::string(dtype_name(dtype)) + ", neither bool nor float32";
  }
  if (mask->type.shape && mask->type.shape->empty()) return "its mask has no axes";
  // One column for all keys, or a mask of the first key alone?
  return last_extent(*mask).same(1) ? "its mask has only one column" : "";
}

bool has_mask(const Node& node, int opset) {
  const Window window = window_of(node, opset);
  return node.input(kMask) != nullptr || node.input(kValidKeys) != nullptr || window.left >= 0 ||
         window.right >= 0;
}

AttentionMask write_attention_mask(const Node& node, int opset, const AttentionScores& scores,
                                   NodeWriter& writer) {
  return MaskWriter(node, opset, scores, writer).run();
}

}  // namespace dwindle::passes
