// drop-noop-casts: drops Cast to the dtype that the value has, and the first of two Casts where it
// lost nothing.
//
// A Cast loses nothing where the wider dtype holds every value of the narrower one; behind it, a
// Cast back to the first dtype, or to another of the same class, gives what a single one gives.
//
// Does nothing for float8 and smaller, whose casts saturate by attribute, and for strings.
#include "passes/simplify/rewrite.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

DType dtype_of(const Value* value) {
  return value == nullptr ? DType::kUndefined : value->type.dtype;
}

bool is_plain(DType dtype) {
  if (dtype == DType::kBool) return true;
  return (is_floating(dtype) || is_integer(dtype)) && dtype_bits(dtype) >= 8 &&
         !(is_floating(dtype) && dtype_bits(dtype) == 8);
}

// Bits of precision of a floating dtype.
int precision(DType dtype) {
  switch (dtype) {
    case DType::kBfloat16:
      return 8;
    case DType::kFloat16:
      return 11;
    case DType::kFloat:
      return 24;
    default:
      return 53;
  }
}

// Whether `to` holds every value of `from`.
bool holds(DType to, DType from) {
  if (to == from || from == DType::kBool) return to != DType::kBool || from == to;
  if (to == DType::kBool) return false;
  const int value_bits = dtype_bits(from) - (is_signed_integer(from) ? 1 : 0);
  if (is_integer(from) && is_integer(to)) {
    if (is_signed_integer(from) && !is_signed_integer(to)) return false;
    return value_bits <= dtype_bits(to) - (is_signed_integer(to) ? 1 : 0);
  }
  if (is_integer(from)) return value_bits <= precision(to) && to != DType::kFloat16;
  if (is_integer(to)) return false;
  const bool float16_to_bfloat16 = from == DType::kFloat16 && to == DType::kBfloat16;
  return !float16_to_bfloat16 && dtype_bits(to) > dtype_bits(from);
}

bool same_class(DType a, DType b) { return is_integer(a) == is_integer(b) && b != DType::kBool; }

struct DropNoopCasts : Pass {
  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    int64_t &dropped = result.counts["dropped"], &merged = result.counts["merged"];
    for_each_node(*model.graph, [&](Node& node) {
      if (!is_cast(model, node)) return;
      if (node.is("Cast") && merge(model, node)) ++merged;
      const DType dtype = dtype_of(node.input(0));
      if (dtype == DType::kUndefined || dtype != output_dtype(node)) return;
      if (!bypass(*node.output(), *node.input(0))) return;
      node.graph()->erase(&node);
      ++dropped;
    });
    result.changed = dropped + merged > 0;
    return result;
  }

 private:
  static bool is_cast(const Model& model, const Node& node) {
    if (node.input(0) == nullptr) return false;
    return is_op(model, node, "CastLike", 15) || is_op(model, node, "Cast", 6);
  }

  static DType output_dtype(const Node& node) {
    if (!node.is("Cast")) return dtype_of(node.output());
    return static_cast<DType>(node.int_attribute("to", 0));
  }

  // x -> first -> node: reads x at once where `first` loses nothing.
  static bool merge(const Model& model, Node& node) {
    Node* first = node.input(0)->producer();
    if (first == nullptr || first->graph() != node.graph() || !is_cast(model, *first)) return false;
    const DType from = dtype_of(first->input(0)), between = output_dtype(*first),
                to = output_dtype(node);
    if (!is_plain(from) || !is_plain(between) || !is_plain(to) || from == between) return false;
    if (!holds(between, from)) return false;
    if (to != from && !same_class(from, between) && from != DType::kBool) return false;
    // Else two nodes stay two.
    const bool alone = private_producer(node, 0) == first;
    if (!alone && to != from) return false;
    node.set_input(0, first->input(0));
    erase_if_unused(*first);
    return true;
  }
};

}  // namespace

std::unique_ptr<Pass> make_drop_noop_casts(const Options&) {
  return std::make_unique<DropNoopCasts>();
}

}  // namespace dwindle::passes
