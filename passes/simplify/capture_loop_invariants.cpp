// capture-loop-invariants: what a Loop hands from turn to turn unchanged becomes a value that its
// body reads from outside.
//
// Converters of Keras models carry the weights of recurrent cells so: no runtime or pass can take
// them for constants. What the Loop gives out for them at its end is what it was given.
//
// Does nothing for values that are handed on in another place, and for one that the caller gets
// where its name cannot move.
#include <algorithm>
#include <memory>
#include <unordered_map>
#include <vector>

#include "passes/simplify/rewrite.h"
#include "passes/simplify/simplify.h"

namespace dwindle::passes {
namespace {

// A Loop's inputs and its body's are two more than what it carries (the count of turns and the
// condition), the body's outputs one more (the condition); the Loop's outputs begin with it.
constexpr size_t kInputsBefore = 2, kOutputsBefore = 1;

// What `value` is a copy of, in its graph.
const Value* behind_identities(const Value* value) {
  const Node* made = value->producer();
  while (made != nullptr && made->is("Identity") && made->input(0) != nullptr) {
    value = made->input(0);
    made = value->producer();
  }
  return value;
}

std::vector<bool> find_invariants(const Node& loop, const Graph& body) {
  if (loop.num_inputs() < kInputsBefore) return {};
  const size_t carried = loop.num_inputs() - kInputsBefore;
  if (body.inputs().size() != carried + kInputsBefore ||
      body.outputs().size() < carried + kOutputsBefore) {
    return {};
  }
  std::vector<bool> invariant(carried);
  for (size_t i = 0; i < carried; ++i) {
    Value* first = loop.input(i + kInputsBefore);
    invariant[i] = first != nullptr && behind_identities(body.outputs()[i + kOutputsBefore]) ==
                                           body.inputs()[i + kInputsBefore];
    Value* last = loop.output(i);
    if (invariant[i] && last != nullptr && !last->unused()) invariant[i] = bypass(*last, *first);
  }
  return invariant;
}

// The body without the invariants, which it reads where the loop does.
std::unique_ptr<Graph> body_without(const Node& loop, const Graph& body,
                                    const std::vector<bool>& invariant) {
  auto to = std::make_unique<Graph>(loop.graph());
  to->name = body.name;
  to->extra = body.extra;
  std::unordered_map<const Value*, Value*> values;
  for (size_t i = 0; i < invariant.size(); ++i) {
    if (!invariant[i]) continue;
    values.emplace(body.inputs()[i + kInputsBefore], loop.input(i + kInputsBefore));
  }
  copy_nodes(body, *to, values, nullptr, /*unique_names=*/false);
  const auto kept = [&](size_t place, size_t before) {
    return place < before || place - before >= invariant.size() || !invariant[place - before];
  };
  for (size_t i = 0; i < body.inputs().size(); ++i) {
    if (kept(i, kInputsBefore)) to->add_input(values.at(body.inputs()[i]));
  }
  for (size_t i = 0; i < body.outputs().size(); ++i) {
    if (!kept(i, kOutputsBefore)) continue;
    const auto copy = values.find(body.outputs()[i]);
    to->add_output(copy == values.end() ? body.outputs()[i] : copy->second);
  }
  return to;
}

int64_t capture_invariants(Node& loop) {
  const Graph* body = loop.graph_attribute("body");
  if (body == nullptr) return 0;
  const std::vector<bool> invariant = find_invariants(loop, *body);
  const int64_t count = std::count(invariant.begin(), invariant.end(), true);
  if (count == 0) return 0;
  std::vector<Value*> inputs = {loop.input(0), loop.input(1)};
  for (size_t i = 0; i < invariant.size(); ++i) {
    if (!invariant[i]) inputs.push_back(loop.input(i + kInputsBefore));
  }
  // Behind the old one, so that loops inside are visited next.
  Node* made = loop.graph()->add_node("Loop", inputs, 0, loop.next());
  made->name = loop.name;
  made->extra = loop.extra;
  made->set_attribute("body", body_without(loop, *body, invariant));
  for (size_t i = 0; i < loop.num_outputs(); ++i) {
    if (i < invariant.size() && invariant[i]) continue;
    made->add_output(loop.output(i) == nullptr ? nullptr : loop.take_output(i));
  }
  loop.graph()->erase(&loop);
  return count;
}

struct CaptureLoopInvariants : Pass {
  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    int64_t& values = result.counts["values"];
    for_each_node(*model.graph, [&](Node& node) {
      if (node.is("Loop") && opset_or_zero(model, node) > 0) values += capture_invariants(node);
    });
    result.changed = values > 0;
    return result;
  }
};

}  // namespace

std::unique_ptr<Pass> make_capture_loop_invariants(const Options&) {
  return std::make_unique<CaptureLoopInvariants>();
}

}  // namespace dwindle::passes
